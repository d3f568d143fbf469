"""Makes an environment with one TensorFlow of those supported and runs the plain tests in it.

    python -m tools.versions 2.19

TensorFlow for TPUs ends at 2.19.1 and 2.20.0, while 2.21 is current: the suite is to pass on all three, each with the Keras it
allows. The exact pins stand in `tf<version>.txt` beside this file, those of 2.21 in `constraints.txt`.
"""
