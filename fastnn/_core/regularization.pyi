from collections.abc import Sequence

class Rules:
    def __init__(
        self,
        layers: Sequence[tuple[bool, float, float, float, float]],
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        clip_value: float = 0.0,
    ) -> None: ...
