"""Our LSTM against Keras's."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite.layers import lstm
from dlsuite.layers.lstm import LSTM

_B, _E, _U = 3, 4, 5
_NAMES = ["outputs", "h", "c", "d_x", "d_h0", "d_c0", "d_kernel", "d_recurrent_kernel", "d_bias"]


def _pair(dtype: str = "float32") -> tuple[LSTM, keras.layers.LSTM]:
  ours, keras_own = LSTM(_U, dtype=dtype), keras.layers.LSTM(_U, return_sequences=True, return_state=True)
  random = np.random.default_rng(1)
  weights = [random.normal(0, 0.5, shape) for shape in ((_E, 4 * _U), (_U, 4 * _U), (4 * _U,))]
  for layer in (ours, keras_own):
    layer.build((None, None, _E))
    layer.set_weights(weights)
  return ours, keras_own


def _inputs(steps: int, dtype: str = "float32") -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  random = np.random.default_rng(0)
  x, h, c = (tf.constant(random.normal(size=shape), dtype) for shape in ((_B, steps, _E), (_B, _U), (_B, _U)))
  return x, h, c


def _loss(outputs: tuple[tf.Tensor, ...], used: tuple[int, ...] = (0, 1, 2)) -> tf.Tensor:
  random = np.random.default_rng(2)
  factors = [random.normal(size=y.shape) for y in outputs]
  return tf.add_n([tf.reduce_sum(tf.cast(outputs[k], tf.float32) * factors[k]) for k in used])


def _run(layer: keras.layers.Layer, steps: int, used: tuple[int, ...] = (0, 1, 2), signature: list | None = None,
         **options: object) -> list[tf.Tensor]:
  """Returns outputs, h, c and the gradients of a weighted sum of those that are used by all inputs and weights."""

  def run(x: tf.Tensor, h: tf.Tensor, c: tf.Tensor) -> tuple[list, list]:
    with tf.GradientTape() as tape:
      tape.watch([x, h, c])
      outputs = layer(x, initial_state=[h, c])
      fixed = [tf.ensure_shape(y, (_B, *([steps] if k == 0 else []), _U)) for k, y in enumerate(outputs)]
      loss = _loss(tuple(fixed), used)
    return list(outputs), tape.gradient(loss, [x, h, c, *(v.value for v in layer.trainable_variables)])

  made: Callable = tf.function(run, input_signature=signature, **options) if signature or options else run
  outputs, gradients = made(*_inputs(steps))
  return [*outputs, *gradients]


def _assert_equal(found: list[tf.Tensor], wanted: list[tf.Tensor], tolerance: float = 1e-5) -> None:
  for name, mine, theirs in zip(_NAMES, found, wanted, strict=True):
    values = tf.cast(theirs, tf.float32).numpy()
    np.testing.assert_allclose(tf.cast(mine, tf.float32), values, rtol=tolerance, atol=tolerance * np.abs(values).max(),
                               err_msg=name)


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("used", [(0, 1, 2), (0,), (1,), (2,)], ids=str)
def test_outputs_states_and_gradients_equal_keras(steps: int, used: tuple[int, ...]) -> None:
  ours, keras_own = _pair()
  _assert_equal(_run(ours, steps, used, reduce_retracing=True), _run(keras_own, steps, used, reduce_retracing=True))


def test_eager_gradients_equal_keras() -> None:
  ours, keras_own = _pair()
  _assert_equal(_run(ours, 3), _run(keras_own, 3))


@pytest.mark.parametrize("steps", [1, 6])
def test_unknown_number_of_steps_and_rows_equals_keras(steps: int) -> None:
  ours, keras_own = _pair()
  signature = [tf.TensorSpec([None, None, _E]), tf.TensorSpec([None, _U]), tf.TensorSpec([None, _U])]
  _assert_equal(_run(ours, steps, signature=signature), _run(keras_own, steps))


def test_unknown_number_of_rows_equals_keras() -> None:
  ours, keras_own = _pair()
  signature = [tf.TensorSpec([None, 6, _E]), tf.TensorSpec([None, _U]), tf.TensorSpec([None, _U])]
  _assert_equal(_run(ours, 6, signature=signature), _run(keras_own, 6))


@pytest.mark.parametrize("longest", [256, 4], ids=["unrolled", "looped"])
def test_compiled_by_xla_equals_keras(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(lstm, "_LONGEST", longest)
  ours, keras_own = _pair()
  _assert_equal(_run(ours, 6, jit_compile=True), _run(keras_own, 6))


def test_only_few_steps_are_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(lstm, "_LONGEST", 4)
  ours, _ = _pair()

  def loops(steps: int) -> int:
    graph = tf.function(ours).get_concrete_function(tf.TensorSpec([_B, steps, _E])).graph
    return sum("While" in operation.type for operation in graph.get_operations())

  assert (loops(4), loops(5)) == (0, 1)


@pytest.mark.parametrize("longest", [256, 2], ids=["unrolled", "looped"])
def test_gradients_equal_finite_differences(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(lstm, "_LONGEST", longest)
  ours, _ = _pair("float64")
  x, h, c = _inputs(3, "float64")

  def outputs(*values: tf.Tensor) -> tf.Tensor:
    x, h, c, *weights = values
    sequence, h, c = ours.stateless_call(weights, [], x, initial_state=[h, c])[0]
    return tf.concat([tf.reshape(sequence, [-1]), tf.reshape(h, [-1]), tf.reshape(c, [-1])], 0)

  values = [x, h, c, *(tf.convert_to_tensor(v) for v in ours.trainable_variables)]
  for found, wanted in zip(*tf.test.compute_gradient(tf.function(outputs), values, delta=1e-5), strict=True):
    np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_second_derivative_equals_keras() -> None:
  def second(layer: keras.layers.Layer) -> tf.Tensor:
    x, h, c = _inputs(3)
    with tf.GradientTape() as outer:
      outer.watch(x)
      with tf.GradientTape() as inner:
        inner.watch(x)
        loss = _loss(tuple(layer(x, initial_state=[h, c])))
      square = tf.reduce_sum(tf.square(inner.gradient(loss, x)))
    return outer.gradient(square, x)

  ours, keras_own = _pair()
  np.testing.assert_allclose(second(ours), second(keras_own), rtol=1e-4, atol=1e-5)


def test_missing_state_is_zeros() -> None:
  ours, _ = _pair()
  x, h, c = _inputs(3)
  for mine, wanted in zip(ours(x), ours(x, initial_state=[0 * h, 0 * c]), strict=True):
    np.testing.assert_array_equal(mine, wanted)


def test_weights_at_the_start() -> None:
  layer = LSTM(_U)
  layer.build((None, None, _E))
  assert layer.count_params() == 4 * _U * (_E + _U + 1)
  assert [v.name for v in layer.trainable_variables] == ["kernel", "recurrent_kernel", "bias"]
  np.testing.assert_array_equal(layer.bias.numpy(), np.repeat([0, 1, 0, 0], _U))
  recurrent = layer.recurrent_kernel.numpy()
  np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(_U), atol=1e-5)
  assert 0 < np.abs(layer.kernel.numpy()).max() <= np.sqrt(6 / (_E + 4 * _U))


@pytest.mark.parametrize("longest", [256, 4], ids=["unrolled", "looped"])
def test_bfloat16_is_close_and_keeps_c_in_float32(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(lstm, "_LONGEST", longest)
  ours, keras_own = _pair("mixed_bfloat16")
  found = _run(ours, 6, reduce_retracing=True)
  assert [value.dtype.name for value in found] == ["bfloat16", "bfloat16", "float32", *["float32"] * 6]
  assert ours.kernel.dtype == "float32"
  _assert_equal(found, _run(keras_own, 6), 0.04)
  x, h, c = _inputs(6)
  fine = c + 2.0 ** -20 * tf.sign(c)  # lost in bfloat16
  assert np.any(ours(x, initial_state=[h, c])[2] != ours(x, initial_state=[h, fine])[2])


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_in_a_functional_model_of_any_length(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
  ours, keras_own = _pair(dtype)
  states = [keras.Input((_U,)) for _ in range(2)]
  x = keras.Input((None, _E))
  model = keras.Model([x, *states], ours(x, initial_state=states))
  model.dtype_policy = dtype
  short = "bfloat16" if dtype == "mixed_bfloat16" else "float32"
  assert [(y.shape, y.dtype) for y in model.outputs] == [((None, None, _U), short), ((None, _U), short),
                                                         ((None, _U), "float32")]
  monkeypatch.setattr(lstm, "_looped", None)  # a known number of steps is written out all the same
  for steps in (1, 4):
    wanted = keras_own(_inputs(steps)[0], initial_state=list(_inputs(steps)[1:]))
    found = model(list(_inputs(steps)))
    assert [y.dtype.name for y in found] == [short, short, "float32"]
    for mine, theirs in zip(found, wanted, strict=True):
      np.testing.assert_allclose(tf.cast(mine, tf.float32), theirs, atol=1e-5 if dtype == "float32" else 0.04)
  rebuilt = keras.Model.from_config(model.get_config())
  assert rebuilt.count_params() == model.count_params()


def test_in_replicas() -> None:
  strategy = tf.distribute.MirroredStrategy(["CPU:0"])
  with strategy.scope():
    ours, keras_own = _pair()
  x, h, c = _inputs(4)

  @tf.function
  def run() -> list:
    def step() -> list:
      with tf.GradientTape() as tape:
        loss = _loss(tuple(ours(x, initial_state=[h, c])))
      return [loss, *tape.gradient(loss, [v.value for v in ours.trainable_variables])]

    return strategy.experimental_local_results(strategy.run(step))[0]

  _, *wanted = _run(keras_own, 4)[5:]
  for mine, theirs in zip(run()[1:], wanted, strict=True):
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
