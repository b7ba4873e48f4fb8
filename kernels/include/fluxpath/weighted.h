// Methods of independent points: each lane takes one gradient at a point known in advance, and an image's
// attribution is a weighted sum of these gradients (Saliency, Integrated Gradients, SmoothGrad, ...).
#pragma once

#include "fluxpath/lanes.h"

namespace fluxpath {

enum Multiplier : int { kOne = 0, kImage = 1, kDifference = 2 };
enum Power : int { kPlain = 0, kAbsolute = 1, kSquared = 2 };

struct Weighted {
  int multiplier;  // of the derivative: 1, image, or image - reference (the reference is in `pending`)
  int power;       // applied to the derivative before the multiplier
};

FLUXPATH_INLINE int weighted_decide(double squared_norm, float scale) {
  return finite(squared_norm) && finite(scale) ? kComplete : kNonFinite;
}

FLUXPATH_INLINE float weighted_term(const Weighted& m, float weight, float scale, float image,
                                    float reference, float gradient) {
  const float g = scale * gradient;
  const float value = m.power == kPlain ? g : m.power == kSquared ? g * g : g < 0.0f ? -g : g;
  const float times = m.multiplier == kOne ? 1.0f : m.multiplier == kImage ? image : image - reference;
  return weight * (value * times);
}

// reference + share * (image - reference), from the nearer end, so that 0 and 1 give the ends exactly.
FLUXPATH_INLINE float straight_point(float image, float reference, float share) {
  const float line = image - reference;
  return share < 0.5f ? reference + share * line : image - (1.0f - share) * line;
}

FLUXPATH_INLINE float noisy_point(float image, float deviation, float normal, float low, float high) {
  return clamp(image + deviation * normal, low, high);
}

}  // namespace fluxpath
