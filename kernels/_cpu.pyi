from numpy import float32, int32, int64, uint32
from numpy.typing import NDArray

class Mfaba:
    norm_path: bool
    def __init__(
        self,
        *,
        sharp: bool,
        trapezoid: bool,
        norm_path: bool,
        max_steps: int,
        step_size: float,
        radius: float,
        low: float,
        high: float,
        relative: bool = False,
        steady: int = 0,
        growth: float = 0.0,
        objective: int = 0,
    ) -> None: ...
    def __bytes__(self) -> bytes: ...

class Neflag:
    def __init__(
        self,
        *,
        stop_at_flux: bool,
        max_steps: int,
        radius: float,
        low: float,
        high: float,
        relative: bool = False,
    ) -> None: ...
    def __bytes__(self) -> bytes: ...

class Reach:
    def __init__(self, *, objective: int, signs: bool) -> None: ...
    def __bytes__(self) -> bytes: ...

class Weighted:
    def __init__(self, *, multiplier: int, power: int) -> None: ...
    def __bytes__(self) -> bytes: ...

def lane_words(seed: int, words: NDArray[uint32]) -> None: ...
def extent(values: NDArray[float32]) -> tuple[float, float]: ...

class Lanes:
    def __init__(
        self,
        *,
        image: NDArray[float32],
        point: NDArray[float32],
        pending: NDArray[float32],
        sum: NDArray[float32],
        gradient: NDArray[float32],
        scale: NDArray[float32],
        score: NDArray[float32],
        label: NDArray[int64],
        target: NDArray[int64],
        step: NDArray[int32],
        status: NDArray[int32],
        length: NDArray[float32],
        pending_length: NDArray[float32],
        reach: NDArray[float32],
    ) -> None: ...
    def clear(self, slot: int, image: NDArray[float32], target: int, reach: float = 0.0) -> None: ...
    def advance_mfaba(self, slots: NDArray[int32], method: Mfaba) -> None: ...
    def advance_neflag(self, slots: NDArray[int32], method: Neflag) -> None: ...
    def advance_reach(self, slots: NDArray[int32], method: Reach) -> None: ...
    def start_neflag(
        self, slots: NDArray[int32], numbers: NDArray[int32], method: Neflag, seed: int
    ) -> None: ...
    def advance_weighted(
        self, slots: NDArray[int32], weights: NDArray[float32], method: Weighted
    ) -> None: ...
    def start_straight(self, slots: NDArray[int32], shares: NDArray[float32]) -> None: ...
    def start_noise(
        self,
        slots: NDArray[int32],
        numbers: NDArray[int32],
        *,
        deviation: float,
        low: float,
        high: float,
        seed: int,
    ) -> None: ...
