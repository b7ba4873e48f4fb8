// A lane is one walk of gradient evaluations; a slot is the row of every array in which a lane lives.
#pragma once

#include "fluxpath/portable.h"

namespace fluxpath {

// Why a lane is where it is. The numbers are part of the Python interface (fluxpath.runtime.Status), in
// order of severity: an image with several lanes reports the largest.
enum Status : int {
  kRunning = 0,
  kBoundary = 1,      // the predicted class changed
  kNegativeFlux = 2,  // the flux through the sphere is negative
  kComplete = 3,      // a walk of fixed length came to its end
  kMaxSteps = 4,
  kZeroGradient = 5,  // no direction to go
  kNonFinite = 6,     // the model gave NaN or infinity
};

// Arrays with one row per slot: rows of `features` floats, the others one entry per slot.
struct LaneArrays {
  const float* image;     // the lane's input x_0
  float* point;           // where the gradient is asked next: the gradient graph's own input buffer
  float* pending;         // the displacement that still waits for the gradient at its right end
  float* sum;             // the attribution so far
  const float* gradient;  // the gradient graph's output at `point`, without its scale
  const float* scale;
  const i64* label;       // the predicted class at `point`
  i64* target;            // the class to explain: a negative one is decided before the first advance
  int* step;              // steps taken
  int* status;
  float* length;          // path="norm": the length of the path so far
  float* pending_length;  // path="norm": the length of `pending`
  i64 features;
};

}  // namespace fluxpath
