// NeFLAG (Li et al., IJCAI 2023), Algorithm 1, with one flux sample per lane.
#pragma once

#include "fluxpath/lanes.h"

namespace fluxpath {

struct Neflag {
  bool stop_at_flux;  // else stop where the predicted class changes
  int max_steps;
  float radius;       // epsilon
  float low, high;
  bool relative;      // the radius is in units of the lane's reach, which an evaluation at the image gave
};

FLUXPATH_INLINE float neflag_radius(const Neflag& m, float reach) {
  return m.relative ? m.radius * reach : m.radius;
}

FLUXPATH_INLINE int neflag_decide(const Neflag& m, double squared_norm, double flux, float scale, i64 label,
                                  i64 target, int step) {
  if (!finite(squared_norm) || !finite(scale)) return kNonFinite;
  if (squared_norm == 0.0) return kZeroGradient;
  if (step == 0) return kRunning;
  if (m.stop_at_flux ? flux < 0.0 : label != target) return m.stop_at_flux ? kNegativeFlux : kBoundary;
  return step >= m.max_steps ? kMaxSteps : kRunning;
}

// x + epsilon * u, a point on the sphere; `unit` is an element of the unit vector u.
FLUXPATH_INLINE float neflag_start(const Neflag& m, float radius, float image, float unit) {
  return clamp(image + radius * unit, m.low, m.high);
}

// Line 5: x - epsilon * sign(F).
FLUXPATH_INLINE float neflag_next(const Neflag& m, float radius, float image, float gradient) {
  return clamp(image - radius * sign(gradient), m.low, m.high);
}

// Line 7: F(x~) * (x - x~).
FLUXPATH_INLINE float neflag_flux(float scale, float image, float point, float gradient) {
  return scale * gradient * (image - point);
}

}  // namespace fluxpath
