"""What a trained network of images can be asked: where it looks, what its layers find, what it would like to see.

Functions of Keras functional models and arrays alone; the analyses draw what they return.
"""
