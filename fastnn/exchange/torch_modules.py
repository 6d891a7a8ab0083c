"""Modules that PyTorch lacks. Importing this imports PyTorch."""

from typing import Any

from fastnn._extras import import_extra

nn: Any = import_extra("torch.nn", "PyTorch", "torch")
torch: Any = import_extra("torch", "PyTorch", "torch")


class Exponential(nn.Module):  # type: ignore[misc]
    """``exp(x)``."""

    def forward(self, x: Any) -> Any:
        """The exponential of each number."""
        return torch.exp(x)


class Rescale(nn.Module):  # type: ignore[misc]
    """``scale x + offset``.

    Parameters
    ----------
    scale, offset : float
    """

    def __init__(self, scale: float, offset: float = 0.0) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x: Any) -> Any:
        """The rescaled numbers."""
        return self.scale * x + self.offset

    def extra_repr(self) -> str:
        """As PyTorch shows the settings of its modules."""
        return f"scale={self.scale}, offset={self.offset}"


class GaussianNoise(nn.Module):  # type: ignore[misc]
    """In training, a normal random number times `scale` is added to each number.

    Parameters
    ----------
    scale : float
        The standard deviation of the noise.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Any) -> Any:
        """x, with noise in training."""
        return x + self.scale * torch.randn_like(x) if self.training else x

    def extra_repr(self) -> str:
        """As PyTorch shows the settings of its modules."""
        return f"scale={self.scale}"
