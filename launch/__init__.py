"""Starts runs elsewhere than on one machine's devices: Cloud TPU VMs, several worker processes, Slurm, Kubernetes."""
