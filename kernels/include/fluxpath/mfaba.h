// MFABA (Zhu et al., AAAI 2024): the recurrence, element by element. A lane's advance is
//   1. the squared norm of the gradient, and mfaba_decide;
//   2. stepping: mfaba_step for every element; stopping: mfaba_close for every element.
// path="norm" weights each element by lengths of displacements that are known only after step 2, so it
// needs another loop: mfaba_weigh.
#pragma once

#include "fluxpath/lanes.h"

namespace fluxpath {

struct Mfaba {
  bool sharp;        // direction g/|g| (Eq. 12), else sign(g)
  bool trapezoid;    // Eq. 11, else the first-order sum (left ends only)
  bool norm_path;    // weights by path length (Eq. 16)
  int max_steps;
  float step_size;   // L2 length (sharp) or per element (smooth)
  float radius;      // the largest distance of an element from the image
  float low, high;   // the valid range
};

// What one advance does, the same for all elements of the lane.
struct MfabaMove {
  int status;        // kRunning: take a step
  float factor;      // multiplies the gradient (sharp) or its sign (smooth) to give the displacement
};

FLUXPATH_INLINE MfabaMove mfaba_decide(const Mfaba& m, double squared_norm, float scale, i64 label,
                                       i64 target, int step) {
  if (!finite(squared_norm) || !finite(scale)) return {kNonFinite, 0.0f};
  if (step > 0 && label != target) return {kBoundary, 0.0f};
  if (step >= m.max_steps) return {kMaxSteps, 0.0f};
  if (squared_norm == 0.0) return {kZeroGradient, 0.0f};
  if (!m.sharp) return {kRunning, m.step_size};
  // The root is in float64 too, so that a gradient of 1e-30 keeps its direction. With one of 1e-42 the factor
  // is limited to what float32 can express, since an infinite factor would lose the direction.
  const double factor = m.step_size / sqrt(squared_norm), largest = 3.4e38;
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
