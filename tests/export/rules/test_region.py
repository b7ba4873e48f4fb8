"""RoiAlign against central differences along the image."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

from fluxpath.errors import UnsupportedOperatorError

ROIS = np.array(
    [[0.5, 1.0, 9.0, 7.0], [-4.0, -3.0, 5.0, 30.0], [3.0, 2.0, 3.2, 2.1], [6.0, 6.0, 25.0, 9.0]], np.float32
)


@pytest.mark.parametrize("coordinates", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("dims", ["3,2,6,7", "a,b,c,d"])
def test_roi_align(dims: str, samples: int, coordinates: str) -> None:
    attributes = f"""sampling_ratio={samples}, output_height=2, output_width=3, spatial_scale=0.5,
        coordinate_transformation_mode="{coordinates}\""""
    text = f"y = RoiAlign<{attributes}>(x, r, i)"
    gradcheck.check(text, (3, 2, 6, 7), dims=dims, r=ROIS, i=[0, 2, 0, 1])


@pytest.mark.parametrize("attributes", ['mode="max", sampling_ratio=2', "sampling_ratio=0"])
def test_what_has_no_rule_is_refused(attributes: str) -> None:
    text = f"y = RoiAlign<{attributes}>(x, r, i)"
    forward = gradcheck.parse(text, "3,2,6,7", r=ROIS, i=[0, 2, 0, 1])
    with pytest.raises(UnsupportedOperatorError, match=r"max|sampling_ratio"):
        gradcheck.differentiated(forward)
