"""Every experiment, found by existing: its smoke run ends, and its networks have their exact parameter counts."""

import dataclasses
import json

import pytest

from dlsuite import catalog, modes
from dlsuite import config as config_lib
from dlsuite.data.builders.python_library import python_library_dataset_builder as library
from dlsuite.flags import Options
from dlsuite.training import fine_tuning


@dataclasses.dataclass(frozen=True)
class Golden:
  """Weights of one network: those that are trained, and all."""

  trainable: int
  total: int
  source: str


_LENET = ("arithmetic: C1 6x(25+1) + C3 16x(150+1) + 400x120+120 + 120x84+84 + 84x10+10; also in "
          "Zhang et al., Dive into Deep Learning, section 7.6 (with average pooling)")
_LENET_1998 = "LeCun et al. 1998, section II.B: 60,000 trainable parameters; 840 fixed ones of the RBF units (10x84)"
_MLP = "arithmetic: 784x800+800 + 800x10+10"
_RESNET = ("He et al. 2015, table 6: 0.27M; arithmetic for option A: 432 + 6x2,304 + 4,608 + 5x9,216 + 18,432 + 5x36,864 "
           "+ 650 + 2x688 of batch norm = 269,722, and 2x688 moving averages")
_RESNET_GREY = _RESNET + "; one input channel: 144 instead of 432"
_RESNET50 = ("torchvision's documentation of resnet50: 25,557,032; moving averages: 64 + (64+64+256)x3 + 256 + (128+128+512)"
             "x4 + 512 + (256+256+1024)x6 + 1024 + (512+512+2048)x3 + 2048 = 26,560 channels, twice")
_RESNET18_THIN = ("arithmetic, 8 channels: 9x8 + 4x9x8x8 + (9x8x16+3x9x16x16+8x16) x (1+4+16) + 64x10+10; batch norm: 2 "
                  "factors and averages each of 8 + 4x8 + 5x(16+32+64) channels")
_WRN = "pytorchcv's tests: 36,479,194; moving averages: 16+7x160 + 160+7x320 + 320+7x640 + 640 = 8,976 channels, twice"
_WRN_THIN = ("arithmetic: 9x16; 16x32 + 9x16x32 + 9x32x32 and the same with 32 to 64 and 64 to 128; batch norm of 16+32 + "
             "32+64 + 64+128 + 128 = 464 channels; 128x10+10")
_BC = ("arithmetic: 27x24; 16 layers cx48 + 9x48x12 from 24, 108 and 150 channels; 216x108 + 300x150; batch norm of 11,994 "
       "channels: c+48 a layer, 216, 300 and 342; 342x10+10. Huang et al. 2017, table 2: 0.8M")
_BC_THIN = ("arithmetic, L=22, k=8: 9x16; blocks of three layers cx32 + 9x32x8 from 16, 20 and 22 channels; transitions 40x20 "
            "and 44x22; batch norm of 168 + 40 + 180 + 44 + 186 + 46 = 664 channels; 46x10+10")
_SE_THIN = ("arithmetic, 8 channels, 4 groups of 4: kernels 512,648 (of the 3x3 ones a quarter), gates 2xOx(O/8) + O/8 + O for "
            "O = 32, 64, 128, 256 in 3, 4, 6, 3 blocks: 80,716; batch norm of 4,264 channels; 256x10+10")
_UNET = ("arithmetic, over widths a -> b of 1 64 128 256 512 1024: down 9ab+b + 9bb+b, 18,842,048; up 8bb+b + 18bb+b + 9bb+b, "
         "12,188,480; 64x2+2")
_UNET_NORM = "arithmetic: the 3x3 convolutions without offsets, for widths 1 {}; batch norm of {} channels, twice"
_ALEXNET = ("the count of the two-tower network by Caffe's definition: 34,944 + 307,456 + 885,120 + 663,936 + 442,624 "
            "+ 9216x4096+4096 + 4096x4096+4096 + 4096x1000+1000; Krizhevsky et al. 2012, section 3: 60 million")
_ALEXNET_THIN = "arithmetic: 240 + 25x12x64+64 + 9x64x96+96 + 9x48x96+96 + 9x48x64+64 + 64x128+128 + 128x128+128 + 128x10+10"
_ONE_TOWER_THIN = "arithmetic: 160 + 25x16x48+48 + 9x48x96+96 + 9x96x64+64 + 9x64x64+64 + 64x128+128 + 128x128+128 + 128x10+10"
_ZFNET = ("arithmetic: 49x3x96+96 + 25x96x256+256 + 9x256x384+384 + 9x384x384+384 + 9x384x256+256 + 9216x4096+4096 "
          "+ 4096x4096+4096 + 4096x1000+1000")
_ZFNET_THIN = "arithmetic: 240 + 25x24x64+64 + 9x64x96+96 + 9x96x96+96 + 9x96x64+64 + 64x128+128 + 128x128+128 + 128x10+10"
_NIN = ("arithmetic: 75x192+192 + 192x160+160 + 160x96+96, 25x96x192+192 + 2x(192x192+192), 9x192x192+192 + 192x192+192 "
        "+ 192x10+10")
_NIN_THIN = "arithmetic: 25x48+48 + 48x40+40 + 40x24+24, 25x24x48+48 + 2x(48x48+48), 9x48x48+48 + 48x48+48 + 48x10+10"
_VGG = "torchvision's documentation of vgg16; Simonyan & Zisserman 2015, table 2: 138 million"
_VGG_THIN = ("arithmetic, 16, 32, 64, 128 channels: 160 + 2,320, 4,640 + 9,248, 18,496 + 2x36,928, 73,856 + 2x147,584, "
             "2x(128x128+128) + 128x10+10")
_GOOGLENET = ("6,998,552 without heads (torchvision's 6,624,904 but for biases and 5x5, see test_googlenet); heads 3,188,840 "
              "+ 3,190,888")
_GOOGLENET_THIN = ("arithmetic, an eighth of table 1's channels: stem 2,304, modules 2,690 + 6,304 + 6,102 + 7,251 + 8,209 "
                   "+ 9,712 + 13,936 + 16,672 + 23,018, heads 5,882 + 5,914, 128x10+10; 942 channels with two averages")
_INCEPTION = ("keras.applications: 23,851,784; auxiliary head 98,688 + 2,459,904 + 769,000; not trained: the two averages of "
              "17,216 + 896 channels")
_INCEPTION_THIN = "an eighth of the channels: kernels 347,564, 2,264 offsets and twice as many averages, 256x10+10 + 96x10+10"
_YEARS = "experiments/vision/ten_years.py:cifar10,network="
_HALF_ALEXNET = ("arithmetic: 25x3x48+48 + 25x24x128+128 + 9x128x192+192 + 9x96x192+192 + 9x96x128+128 + 1152x1024+1024 "
                 "+ 1024x1024+1024 + 1024x10+10")
_HALF_ZFNET = ("arithmetic: 9x3x48+48 + 25x48x128+128 + 9x128x192+192 + 9x192x192+192 + 9x192x128+128 + 1152x1024+1024 "
               "+ 1024x1024+1024 + 1024x10+10")
_HALF_VGG = ("arithmetic, 32, 64, 128, 256, 256 channels: 896 + 9,248, 18,496 + 36,928, 73,856 + 2x147,584, "
             "295,168 + 2x590,080, 3x590,080, 256x512+512 + 512x512+512 + 512x10+10")
_QUARTER_GOOGLENET = ("arithmetic, a quarter of table 1's channels: stem 9,600, modules 10,300 + 24,416 + 23,628 + 28,194 "
                      "+ 32,006 + 37,968 + 54,464 + 65,408 + 90,492, heads 39,722 + 39,850, 256x10+10")
_BC_40 = ("arithmetic: 27x24; 6 layers cx48 + 9x48x12 from 24, 48 and 60 channels; 96x48 + 120x60; batch norm of 2,544 "
          "channels: c+48 a layer, 96, 120 and 132; 132x10+10")
_BC_22 = ("arithmetic: 27x24; blocks of three layers cx48 + 9x48x12 from 24, 30 and 33 channels; 60x30 + 66x33; batch norm of "
          "996 channels: c+48 a layer, 60, 66 and 69; 69x10+10")
_RESNET_8 = ("arithmetic, one block a resolution, one input channel, five classes: 144 + 2x2,304 + 4,608 + 9,216 + 18,432 "
             "+ 36,864 + 64x5+5 + 2x240 of batch norm, and 2x240 moving averages")
# Printable ASCII and the line's end are 96 codes, as in Python 3.11.7; other releases' sources have tabs and form feeds too.
_CODES = len(set().union(*(library.corpus(split) for split in ("train", "valid", "test"))))
_LSTM = "arithmetic, of 96 codes 1,237,088: 96x64 + 4 gates of 512x(64+512+1) + 512x96+96"
_LSTM_COUNT = 4 * 512 * (64 + 512 + 1) + (64 + 512 + 1) * _CODES
_DETECTOR = "arithmetic, 9x3x16 + 9x16x32 + 9x32x64 of stages, blocks of 32x16 + 9x16x32 and twice 64x32 + 9x32x64, "
_DETECTOR_OF_SHAPES = (_DETECTOR + "9x64x64 of the head, 64x24+24 of 3 anchors x (5+3); batch norm of 16 + 32+16+32 + "
                       "64+2x(32+64) + 64 = 416 channels, 2 trained and 2 averages each")
# By experiment and argument, then by network; a chain's networks are named `stage/network`.
GOLDENS: dict[str, dict[str, Golden]] = {
  "experiments/foundations/diabetes.py:": {"regressor": Golden(4_929, 4_929, "arithmetic: 10x64+64 + 64x64+64 + 64+1")},
  "experiments/sequence/lstm.py:": {"language_model": Golden(_LSTM_COUNT, _LSTM_COUNT, _LSTM)},
  "experiments/reinforcement/dqn.py:": {
    "online": Golden(17_410, 17_410, "arithmetic: 4x128+128 + 128x128+128 + 128x2+2"),
    "target": Golden(0, 17_410, "as online, frozen")},
  "experiments/unsupervised/autoencoder.py:": {
    "encoder": Golden(16_706, 16_706, "arithmetic: 64x128+128 + 128x64+64 + 64x2+2"),
    "decoder": Golden(16_768, 16_768, "arithmetic: 2x64+64 + 64x128+128 + 128x64+64")},
  "experiments/unsupervised/autoencoder.py:mnist": {
    "encoder": Golden(1_418_280, 1_418_280, "arithmetic: 784x1000+1000 + 1000x500+500 + 500x250+250 + 250x30+30"),
    "decoder": Golden(1_419_034, 1_419_034, "arithmetic: 30x250+250 + 250x500+500 + 500x1000+1000 + 1000x784+784")},
  "experiments/unsupervised/denoising.py:": {
    "denoise/encoder": Golden(308_050, 308_050, "arithmetic: 64x500+500 + 500x500+500 + 500x50+50"),
    "denoise/decoder": Golden(308_064, 308_064, "arithmetic: 50x500+500 + 500x500+500 + 500x64+64"),
    "classify/classifier": Golden(288_010, 288_010, "arithmetic: 64x500+500 + 500x500+500 + 500x10+10")},
  "experiments/unsupervised/gan.py:": {
    "generator": Golden(17_154, 17_154, "arithmetic: 2x128+128 + 128x128+128 + 128x2+2"),
    "discriminator": Golden(17_025, 17_025, "arithmetic: 2x128+128 + 128x128+128 + 128+1")},
  "experiments/unsupervised/gan.py:mnist": {
    "generator": Golden(2_503_984, 2_503_984, "arithmetic: 100x1200+1200 + 1200x1200+1200 + 1200x784+784"),
    "discriminator": Golden(1_231_441, 1_231_441, "arithmetic: 784x(240x5)+1200 + 240x(240x5)+1200 + 240+1")},
  "experiments/unsupervised/gan.py:mnist,dcgan": {
    "generator": Golden(252_897, 253_089, "arithmetic: 64x7x7x64 + 25x64x32 + 25x32+1; batch norm 2x64 + 2x32, twice in all"),
    "discriminator": Golden(55_233, 55_233, "arithmetic: 25x32+32 + 25x32x64+64 + 7x7x64+1")},
  "experiments/unsupervised/vae.py:": {
    "encoder": Golden(13_804, 13_804, "arithmetic: 64x200+200 + 2 x (200x2+2)"),
    "decoder": Golden(13_464, 13_464, "arithmetic: 2x200+200 + 200x64+64")},
  "experiments/unsupervised/vae.py:mnist": {
    "encoder": Golden(412_540, 412_540, "arithmetic: 784x500+500 + 2 x (500x20+20)"),
    "decoder": Golden(403_284, 403_284, "arithmetic: 20x500+500 + 500x784+784")},
  "experiments/vision/transfer.py:": {
    "pretrain/classifier": Golden(74_677, 75_157, _RESNET_8), "finetune/classifier": Golden(74_677, 75_157, _RESNET_8)},
  "experiments/vision/transfer.py:cifar10": {
    "pretrain/classifier": Golden(269_722, 271_098, _RESNET), "finetune/classifier": Golden(269_722, 271_098, _RESNET)},
  "experiments/vision/transfer.py:probe": {
    "pretrain/classifier": Golden(74_677, 75_157, _RESNET_8),
    "finetune/classifier": Golden(325, 75_157, "64x5+5 of the last layer learn, the others are frozen")},
  "experiments/vision/lenet5.py:": {"classifier": Golden(61_706, 61_706, _LENET)},
  "experiments/vision/lenet5.py:mnist": {"classifier": Golden(61_706, 61_706, _LENET)},
  "experiments/vision/lenet5.py:mnist,original": {"classifier": Golden(60_000, 60_840, _LENET_1998)},
  "experiments/vision/lenet5.py:original": {"classifier": Golden(60_000, 60_840, _LENET_1998)},
  "experiments/vision/detector.py:": {"detector": Golden(108_808, 108_808 + 832, _DETECTOR_OF_SHAPES)},
  "experiments/vision/detector.py:bccd": {"detector": Golden(
    435_832, 435_832 + 1_696, "arithmetic: 9x3x16 + 9x16x32 + 9x32x64 + 9x64x128 of stages, a block of 64x32 + 9x32x64, two of "
    "128x64 + 9x64x128, 9x128x128 of the head, 128x40+40 of 5 anchors x (5+3); 848 channels of batch norm")},
  "experiments/foundations/mlp.py:": {"classifier": Golden(60_010, 60_010, "arithmetic: 64x800+800 + 800x10+10")},
  "experiments/foundations/mlp.py:mnist": {"classifier": Golden(636_010, 636_010, _MLP)},
  "experiments/vision/densenet.py:": {"classifier": Golden(32_318, 33_646, _BC_THIN)},
  "experiments/vision/densenet.py:cifar10": {"classifier": Golden(769_162, 793_150, _BC)},
  "experiments/vision/resnet.py:": {"classifier": Golden(176_258, 177_458, _RESNET18_THIN)},
  "experiments/vision/resnet.py:imagenet": {"classifier": Golden(25_557_032, 25_557_032 + 2 * 26_560, _RESNET50)},
  "experiments/vision/se_resnext.py:": {"classifier": Golden(604_462, 612_990, _SE_THIN)},
  "experiments/vision/wide_resnet.py:": {"classifier": Golden(303_418, 304_346, _WRN_THIN)},
  "experiments/vision/wide_resnet.py:cifar10": {"classifier": Golden(36_479_194, 36_497_146, _WRN)},
  "experiments/vision/unet.py:": {"segmenter": Golden(
    121_042, 121_746, _UNET_NORM.format("8 16 32 64: 73,224 + 47,096 + 8x2+2", 352))},
  "experiments/vision/unet.py:isbi": {"segmenter": Golden(
    1_942_306, 1_945_250, _UNET_NORM.format("16 32 64 128 256: 1,177,488 + 761,840 + 16x2+2", 1472))},
  "experiments/vision/unet.py:paper": {"segmenter": Golden(31_030_658, 31_030_658, _UNET)},
  "experiments/vision/alexnet.py:": {"classifier": Golden(170_298, 170_298, _ALEXNET_THIN)},
  "experiments/vision/alexnet.py:one_tower": {"classifier": Golden(179_386, 179_386, _ONE_TOWER_THIN)},
  "experiments/vision/alexnet.py:imagenet": {"classifier": Golden(60_965_224, 60_965_224, _ALEXNET)},
  "experiments/vision/zfnet.py:": {"classifier": Golden(258_618, 258_618, _ZFNET_THIN)},
  "experiments/vision/zfnet.py:imagenet": {"classifier": Golden(62_357_608, 62_357_608, _ZFNET)},
  "experiments/vision/nin.py:": {"classifier": Golden(61_370, 61_370, _NIN_THIN)},
  "experiments/vision/nin.py:cifar10": {"classifier": Golden(966_986, 966_986, _NIN)},
  "experiments/vision/vgg.py:": {"classifier": Golden(512_058, 512_058, _VGG_THIN)},
  "experiments/vision/vgg.py:imagenet": {"classifier": Golden(138_357_544, 138_357_544, _VGG)},
  "experiments/vision/googlenet.py:": {"classifier": Golden(109_284, 111_168, _GOOGLENET_THIN)},
  "experiments/vision/googlenet.py:imagenet": {"classifier": Golden(13_378_280, 13_378_280, _GOOGLENET)},
  "experiments/vision/inception_v3.py:": {"classifier": Golden(353_368, 357_896, _INCEPTION_THIN)},
  "experiments/vision/inception_v3.py:imagenet": {"classifier": Golden(27_143_152, 27_179_376, _INCEPTION)},
  _YEARS + "alexnet": {"classifier": Golden(2_819_274, 2_819_274, _HALF_ALEXNET)},
  _YEARS + "zfnet": {"classifier": Golden(3_170_250, 3_170_250, _HALF_ZFNET)},
  _YEARS + "vgg": {"classifier": Golden(4_079_530, 4_079_530, _HALF_VGG)},
  _YEARS + "googlenet": {"classifier": Golden(458_618, 458_618, _QUARTER_GOOGLENET)},
  _YEARS + "resnet": {"classifier": Golden(269_722, 271_098, _RESNET)},
  _YEARS + "se_resnet": {"classifier": Golden(
    269_722 + 2_373, 271_098 + 2_373, "as cifar_resnet.py:cifar10,se")},
  _YEARS + "densenet": {"classifier": Golden(71_686, 73_678, _BC_22)},
  "experiments/vision/densenet.py:cifar10,fast": {"classifier": Golden(176_122, 181_210, _BC_40)},
  "experiments/vision/nin.py:cifar10,fast": {"classifier": Golden(
    63_770, 63_770, "arithmetic: 75x48+48 instead of 25x48+48 of the digits' network of the same width")},
  "experiments/vision/action.py:": {"classifier": Golden(
    112_136, 112_136, "arithmetic: 9x16+16 + 9x16x32+32 + 6x6x32x64+64 + LSTM 4x(64+64+1)x64 + 64x8+8")},
  "experiments/vision/action.py:network=frame": {"classifier": Golden(
    79_112, 79_112, "arithmetic: as with the LSTM, without its 33,024")},
  "experiments/vision/action.py:network=conv3d": {"classifier": Golden(
    55_000, 55_000, "arithmetic: 27x8+8 + 27x8x16+16 + 27x16x32+32 + 2x3x3x32x64+64 + 64x8+8")},
  "experiments/vision/pilotnet.py:smoke": {"driver": Golden(
    252_219, 252_219, "Bojarski et al. 2016, section 4: 250 thousand; 25x3x24+24 + 25x24x36+36 + 25x36x48+48 + 9x48x64+64 + "
    "9x64x64+64 + 1152x100+100 + 100x50+50 + 50x10+10 + 10+1")},
  "experiments/vision/cifar_resnet.py:": {"classifier": Golden(269_434, 270_810, _RESNET_GREY)},
  "experiments/vision/cifar_resnet.py:cifar10": {"classifier": Golden(269_722, 271_098, _RESNET)},
  "experiments/vision/cifar_resnet.py:cifar10,se": {"classifier": Golden(
    269_722 + 2_373, 271_098 + 2_373,
    "as without gates, and for each of three blocks 16+1 + 16+16, 32x2+2 + 2x32+32, 64x4+4 + 4x64+64")},
  "experiments/vision/cifar_resnet.py:cifar10,preactivation": {"classifier": Golden(
    269_722, 271_098, "the same kernels; batch norm: 16 + 5x16 + 16 + 5x32 + 32 + 5x64 + 64 channels, also 688")},
}


def test_every_experiment_has_a_golden():
  assert {reference.partition(":")[0] for reference in GOLDENS} == set(catalog.names())


@pytest.mark.parametrize("reference", GOLDENS)
def test_parameters_are_counted_to_the_unit(reference, strategy):
  found = {}
  for stage, config in config_lib.stages_of(catalog.load(reference)).items():
    task = modes.task_of(config, strategy, prepare=False)
    with strategy.tf.scope():
      networks = task.build_networks()
    fine_tuning.freeze(networks, config.optimizer.frozen)
    for name, network in networks.items():
      trainable = sum(int(v.value.shape.num_elements()) for v in network.trainable_variables)
      found[f"{stage}/{name}" if stage else name] = (trainable, network.count_params())
  assert found == {name: (golden.trainable, golden.total) for name, golden in GOLDENS[reference].items()}


# The variants whose networks or evaluation are others than those of the experiment's own smoke run.
SMOKE = [*(f"{path}:smoke" for path in catalog.names()), "experiments/unsupervised/gan.py:mnist,smoke",
         "experiments/unsupervised/gan.py:mnist,dcgan,smoke",
         "experiments/vision/cifar_resnet.py:se,preactivation,bottleneck,smoke",
         "experiments/vision/transfer.py:probe,smoke", "experiments/vision/transfer.py:scratch,smoke"]
# Deep networks, whose graphs take long to make, and a chain's second stage by itself: other tests run the models and the chain.
LONG = {*(f"experiments/vision/{name}.py:smoke" for name in ("googlenet", "inception_v3", "se_resnext", "ten_years")),
        "experiments/vision/transfer.py:scratch,smoke"}
# Analyses that only the slow run draws: those of classifiers, which the plain runs of others draw, and three dear ones.
OF_CLASSIFIERS = ("confusion_matrix", "mistakes", "first_layer_filters")
NOT_DRAWN = {
  "experiments/sequence/lstm.py:smoke": ("compressors",), "experiments/vision/unet.py:smoke": ("segmentation_baselines",),
  "experiments/unsupervised/denoising.py:smoke": ("first_layer_filters",),
  "experiments/vision/cifar_resnet.py:se,preactivation,bottleneck,smoke": OF_CLASSIFIERS,
  "experiments/vision/transfer.py:probe,smoke": OF_CLASSIFIERS,
  **{f"experiments/vision/{name}.py:smoke": OF_CLASSIFIERS for name in (
    "alexnet", "cifar_resnet", "densenet", "nin", "resnet", "transfer", "vgg", "wide_resnet", "zfnet")}}


def smoke(stages, strategy, tmp_path):
  options = Options(stages, str(tmp_path / "run"))
  modes.run_all(options, strategy)
  for stage, config in options.stages.items():
    folder = tmp_path / "run" / stage
    assert json.loads((folder / "result.json").read_text())["steps"] == 4
    assert (folder / "figures/learning_curves.png").stat().st_size > 5_000
    for name in config.analyses:
      (figure,) = (folder / "figures").glob(f"{name}.*")  # a picture or a film
      assert figure.stat().st_size > 2_000


@pytest.mark.parametrize("reference", [reference for reference in SMOKE if reference not in LONG])
def test_the_smoke_run_ends_with_a_result_and_figures(reference, strategy, tmp_path):
  stages = config_lib.stages_of(catalog.load(reference))
  for config in stages.values():
    config.analyses = tuple(name for name in config.analyses if name not in NOT_DRAWN.get(reference, ()))
  smoke(stages, strategy, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("reference", [reference for reference in SMOKE if reference in LONG or reference in NOT_DRAWN])
def test_the_whole_smoke_run_ends_with_a_result_and_figures(reference, strategy, tmp_path):
  smoke(config_lib.stages_of(catalog.load(reference)), strategy, tmp_path)
