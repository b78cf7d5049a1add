"""What training uses of PyTorch beyond its public interface."""

import torch


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions that multiply bfloat16 matrices."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
