// How far the decision boundary is from an image, were the network linear: the unit of lengths that are "auto".
// The evaluation at the image gives it for nothing.
#pragma once

#include "fluxpath/lanes.h"

namespace fluxpath {

// What the score is of the number whose gradient the graph gives: log-odds d, which are 0 on the boundary.
enum Objective : int {
  kProbability = 0,     // 1 / (1 + exp(-d)): softmax, sigmoid
  kLogProbability = 1,  // -log(1 + exp(-d)): log_softmax
  kItself = 2,          // d: margin, logit
};

struct Reach {
  int objective;
  bool signs;  // a step moves each element by its length, else the point as a whole
};

FLUXPATH_INLINE double within(double x, double low, double high) {
  return x > low ? (x < high ? x : high) : low;  // NaN gives low
}

FLUXPATH_INLINE double log_odds(int objective, float score, float scale) {
  if (objective == kItself) return score;
  // log p - log(1 - p) from log p, which float32 resolves where it would round p to one.
  if (objective == kLogProbability) return score - log(-expm1(static_cast<double>(score)));
  // scale = e / (1 + e)^2 with e = exp(-|d|), solved for e without cancellation; float32 ends at 1.2e-38.
  const double s = within(scale, 1.2e-38, 0.25);
  const double e = 2.0 * s / (1.0 - 2.0 * s + sqrt(1.0 - 4.0 * s));
  return score < 0.5f ? log(e) : -log(e);
}

// `norm` is of the gradient: L2, or with `signs` L1, which are how much a step of one changes d. Where the class
// is nearly or already lost, half of one in log-odds is still some way. Zero without a direction.
FLUXPATH_INLINE float reach_of(const Reach& r, double norm, float score, float scale) {
  if (!(norm > 0.0) || !finite(norm)) return 0.0f;
  return static_cast<float>(within(within(log_odds(r.objective, score, scale), 0.5, 87.0) / norm, 0.0, 1e37));
}

}  // namespace fluxpath
