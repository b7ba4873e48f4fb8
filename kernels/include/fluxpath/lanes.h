// A lane is one walk of gradient evaluations. A slot is the row that holds a lane in every array.
#pragma once

#include "fluxpath/portable.h"

namespace fluxpath {

// Whether and why a lane ended. The numbers are part of the Python interface (fluxpath.runtime.Status) and
// ordered by severity: an image with several lanes reports the largest.
enum Status : int {
  kRunning = 0,
  kBoundary = 1,      // the predicted class changed
  kNegativeFlux = 2,  // the flux through the sphere is negative
  kComplete = 3,      // a walk of fixed length is done
  kMaxSteps = 4,
  kZeroGradient = 5,  // a zero gradient has no direction
  kNonFinite = 6,     // the model gave NaN or infinity
  kUnderflow = 7,     // of a whole image, which no kernel sees
};

// Arrays with one row of `features` floats, or one entry, per slot.
struct LaneArrays {
  const float* image;     // the lane's input x_0
  float* point;           // where the next gradient is taken: the gradient graph's input buffer
  float* pending;         // the displacement that still needs the gradient at its right end
  float* sum;             // the attribution so far
  const float* gradient;  // the gradient graph's output at `point`, without its scale
  const float* scale;
  const float* score;     // the objective at `point`
  const i64* label;       // the predicted class at `point`
  i64* target;            // the class to explain; a negative one is replaced before the first advance
  int* step;              // steps taken
  int* status;
  float* length;          // path="norm": the length of the path so far
  float* pending_length;  // path="norm": the length of `pending`
  float* reach;           // the unit of relative lengths, see reach.h; 0 until it is known
  i64 features;
};

}  // namespace fluxpath
