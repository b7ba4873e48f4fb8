// MFABA (Zhu et al., AAAI 2024): the recurrence, element by element. A lane's advance is
//   1. the squared norm of the gradient, and mfaba_decide;
//   2. stepping: mfaba_step for every element; stopping: mfaba_close for every element.
// path="norm" weights each element by lengths of displacements that are known only after step 2, so it
// needs another loop: mfaba_weigh.
#pragma once

#include "fluxpath/reach.h"

namespace fluxpath {

struct Mfaba {
  bool sharp;        // direction g/|g| (Eq. 12), else sign(g)
  bool trapezoid;    // Eq. 11, else the first-order sum (left ends only)
  bool norm_path;    // weights by path length (Eq. 16)
  int max_steps;
  float step_size;   // L2 length (sharp) or per element (smooth)
  float radius;      // the largest distance of an element from the image
  float low, high;   // the valid range
  bool relative;     // the step size is in units of the lane's reach, which the first evaluation gives
  int steady;        // relative: after so many steps each is longer than the one before,
  float growth;      // by this share of the first
  Reach reach;
};

// The length of a step; before it, `reach` is set at the image.
FLUXPATH_INLINE float mfaba_length(const Mfaba& m, float reach, int step) {
  if (!m.relative) return m.step_size;
  const int late = step < m.steady ? 0 : step - m.steady + 1;
  return m.step_size * reach * (1.0f + m.growth * static_cast<float>(late));
}

// What an evaluation tells of a lane. absolute_sum: the gradient's L1 norm, needed if `mfaba_sums_absolutes`.
struct MfabaSeen {
  double squared_norm, absolute_sum;
  float score, scale;
  i64 label, target;
  int step;
};

FLUXPATH_INLINE bool mfaba_sums_absolutes(const Mfaba& m, int step) {
  return m.relative && m.reach.signs && step == 0;
}

// What one advance does, the same for all elements of the lane.
struct MfabaMove {
  int status;        // kRunning: take a step
  float factor;      // multiplies the gradient (sharp) or its sign (smooth) to give the displacement
};

FLUXPATH_INLINE MfabaMove mfaba_decide(const Mfaba& m, const MfabaSeen& seen, float* reach) {
  if (!finite(seen.squared_norm) || !finite(seen.scale)) return {kNonFinite, 0.0f};
  if (seen.step > 0 && seen.label != seen.target) return {kBoundary, 0.0f};
  if (seen.step >= m.max_steps) return {kMaxSteps, 0.0f};
  if (seen.squared_norm == 0.0) return {kZeroGradient, 0.0f};
  // A lane that runs once more brings its reach along: its scale is no longer the model's.
  if (m.relative && *reach == 0.0f)
    *reach = reach_of(m.reach, m.reach.signs ? seen.absolute_sum : sqrt(seen.squared_norm), seen.score,
                      seen.scale);
  const double length = mfaba_length(m, *reach, seen.step), largest = 3.4e38;
  // The root is in float64 too, so that a gradient of 1e-30 keeps its direction. With one of 1e-42 the factor
  // is limited to what float32 can express, since an infinite factor would lose the direction.
  const double factor = m.sharp ? length / sqrt(seen.squared_norm) : length;
  return {kRunning, static_cast<float>(factor < largest ? factor : largest)};
}

// The displacement from `point`. It is clamped instead of the point it leads to, because x_{j+1} - x_j from
// two rounded points would lose digits of a step of 1e-3 at a pixel of 0.5.
FLUXPATH_INLINE float mfaba_displacement(const Mfaba& m, float factor, float image, float point,
                                         float gradient) {
  const float wanted = -factor * (m.sharp ? gradient : sign(gradient));
  const float low = most(m.low, image - m.radius), high = least(m.high, image + m.radius);
  return clamp(wanted, low - point, high - point);
}

// x_j -> x_{j+1}. The trapezoid multiplies g_j by half of the displacement before x_j and half of the one
// after it: sum -= g_j (d_{j-1} + d_j)/2, which is Eq. 11 regrouped by gradients.
FLUXPATH_INLINE void mfaba_step(const Mfaba& m, float factor, float scale, float image, float* point,
                                float* pending, float* sum, float gradient) {
  const float d = mfaba_displacement(m, factor, image, *point, gradient);
  if (!m.norm_path) {
    const float g = scale * gradient;
    *sum -= m.trapezoid ? 0.5f * g * (*pending + d) : g * d;
  }
  *point = clamp(*point + d, m.low, m.high);
  *pending = d;
}

// Adds the last gradient's share for the pending displacement. The norm path then maps its points onto the
// straight line: attribution = (x_0 - x_n) * sum_j (t_{j+1} - t_j) g_j, t by path length.
FLUXPATH_INLINE void mfaba_close(const Mfaba& m, float scale, float image, float point, float pending,
                                 float pending_length, float length, float* sum, float gradient) {
  const float g = scale * gradient;
  if (m.trapezoid) *sum -= 0.5f * g * (m.norm_path ? -pending_length : pending);
  if (m.norm_path) *sum *= length > 0.0f ? (image - point) / length : 0.0f;
}

// Adds g_j with the norm path's weight: the lengths of the displacements before and after x_j.
FLUXPATH_INLINE void mfaba_weigh(const Mfaba& m, float scale, float before, float after, float* sum,
                                 float gradient) {
  *sum += scale * gradient * (m.trapezoid ? 0.5f * (before + after) : after);
}

}  // namespace fluxpath
