"""The arithmetic of a training on a slice, by hand."""

import json

import pytest

from tests.conftest import ROOT
from tools import scale
from tools.tpu import chips


def step(name, batch, **changes):
  values = {"bound": 0.05, "bound_by": "memory", "reduced": 100e6} | changes
  return scale.Slice(chips.topology(name), batch, **values)


def of_step(**changes):
  line = {"seconds": 0.05, "bound": "memory"}
  program = {"compiles": True, "batch": 1024, "collectives": {}, "roofline": line}
  return json.dumps({"topology": "v5e:2x4", "stages": [{"programs": {"train": program | changes}}]})


def test_corners_of_an_open_grid_have_two_links_and_a_torus_has_four():
  assert [step(f"v5e:{shape}", 256).links for shape in ("1x1", "2x4", "8x8", "8x16", "16x16")] == [0, 2, 2, 3, 4]


def test_eight_chips_add_up_100_megabytes_in_1750_microseconds():
  # Each sends 2 x 7/8 x 100 MB = 175 MB over two links of 50 GB/s.
  assert step("v5e:2x4", 1024).all_reduce == pytest.approx(175e6 / 100e9)
  assert step("v5e:16x16", 8192).all_reduce == pytest.approx(2 * 255 / 256 * 100e6 / 200e9)
  assert step("v5e:1x1", 128).all_reduce == 0


def test_ninety_epochs_of_imagenet_are_112590_steps_of_1024():
  found = step("v5e:2x4", 1024, reduced=0.0)
  assert found.steps(1_281_167, 90) == 112_590  # 1,251 an epoch, 143 images of each are left over
  assert found.hours(1_281_167, 90) == pytest.approx(112_590 * 0.05 / 3600)
  assert found.hours(1_281_167, 90, efficiency=0.5) == pytest.approx(2 * 112_590 * 0.05 / 3600)


def test_a_report_becomes_a_row(tmp_path, capsys):
  path = tmp_path / "report.json"
  path.write_text(of_step(collectives={"all-reduce": {"count": 3, "bytes": 100e6}}))
  assert scale.main([str(path), "--images=1281167", "--epochs=90", "--image_bytes=100000", "--decoded=1000"]) == 0
  row = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].split("|")[1:-1]]
  # 1,024 images in 51.75 ms: 19,787 a second, into one machine; 112,590 x 51.75 ms = 1.62 h, on 8 chips 12.9.
  assert row == ["v5e:2x4", "1,024 (128)", "112,590", "50.00 ms, memory", "1.75 ms for 100.0 MB", "19,800", "1", "1979 MB/s",
                 "20", "1.62", "12.9", "", ""]


def test_eight_chips_of_a_v5e_sit_in_one_machine_and_those_of_a_pod_four_in_each():
  # https://cloud.google.com/tpu/docs/v5e: v5litepod-8 is one host of 8 chips, v5litepod-64 are 16 hosts; a v3-8 is one of 4.
  assert [step(name, 1024).hosts for name in ("v5e:2x4", "v5e:8x8", "v5e:16x16", "v3:2x2")] == [1, 16, 64, 1]


@pytest.mark.parametrize(("text", "flags", "said"), [
  (of_step(batch=0), (), "batch=0 of the training step must be more than 0"),
  (of_step(roofline={"seconds": 0.0, "bound": "memory"}), (), "roofline.seconds=0.0 of the training step must be more than 0"),
  (of_step().replace("2x4", "3x3"), (), "--topology='v5e:3x3' is unknown (did you mean 'v5e:2x4'?)"),
  ('{"topology": "v6e:2x2"}', (), "the links of a v6e are not known here"), ("{", (), "Expecting property name"),
  ("[]", (), "is no report of tools.tpu_compile"), ("{}", ("--efficiency=0",), "--efficiency=0 must be more than 0"),
])
def test_what_cannot_be_used_is_said_in_one_line_with_its_file(text, flags, said, tmp_path, capsys):
  path = tmp_path / "report.json"
  path.write_text(text)
  assert scale.main([str(path), "--images=1", "--epochs=1", "--image_bytes=1", *flags]) == 2
  error = capsys.readouterr().err
  assert said in error and error.count("\n") == 1 and (flags or str(path) in error)


def test_a_report_of_a_step_that_does_not_compile_is_refused(tmp_path, capsys):
  path = tmp_path / "report.json"
  path.write_text(of_step(compiles=False))
  assert scale.main([str(path), "--images=1", "--epochs=1", "--image_bytes=1"]) == 2
  assert capsys.readouterr().err == f"scale: {path}: v5e:2x4: the training step did not compile\n"


def test_the_document_shows_what_the_tool_makes_of_the_reports_beside_it(capsys, monkeypatch):
  monkeypatch.chdir(ROOT)
  text = (ROOT / "launch/SCALE.md").read_text()
  command = text.partition("python -m tools.scale ")[2].partition("\n\n")[0].replace("\\\n", " ").split()
  assert scale.main(command) == 0
  assert capsys.readouterr().out in text


def test_the_published_run_kept_the_share_of_the_rate_that_the_document_says():
  found = scale.Slice.read(json.loads((ROOT / "launch/scale/v3_2x2.json").read_text()))
  published = 4.4 * 3600 / 125_100  # flax, examples/imagenet/README.md: v3-8; so many steps of 1,024 are 100 epochs
  assert found.batch == 1024
  assert f"--efficiency={(found.bound + found.all_reduce) / published:.2f} " in (ROOT / "launch/SCALE.md").read_text()
