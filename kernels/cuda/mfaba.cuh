// MFABA on the device: `measure` sums the squared gradient and decides, `move` steps or ends the walk. With
// path="norm", `weigh` follows.
#pragma once

#include "block.cuh"
#include "fluxpath/mfaba.h"

namespace fluxpath {

__device__ inline void mfaba_conclude(const LaneArrays& a, const Scratch& s, int slot, const Mfaba& m,
                                      double squared, double absolute) {
  const MfabaSeen seen = {squared,       absolute,       a.score[slot], a.scale[slot],
                          a.label[slot], a.target[slot], a.step[slot]};
  const MfabaMove move = mfaba_decide(m, seen, &a.reach[slot]);
  conclude(a, s, slot, move.status, move.factor);
}

template <typename G>
__device__ void mfaba_measure(const LaneArrays& a, const Scratch& s, const int* slots, const Mfaba& m) {
  const int slot = slots[blockIdx.y];
  // The status is looked at only after the sum, so that the gradient's loads need not wait for it.
  const int before = a.status[slot];
  double squared[1] = {squared_gradient<G>(a, slot)};
  if (!goes_on(s, slot, before)) return;
  if (mfaba_sums_absolutes(m, a.step[slot])) {
    double sums[2] = {squared[0], absolute_gradient<G>(a, slot)};
    if (!last_with(s, slot, sums)) return;
    lane_sum(s, slot, sums);
    if (threadIdx.x == 0) mfaba_conclude(a, s, slot, m, sums[0], sums[1]);
    return;
  }
  if (!last_with(s, slot, squared)) return;
  lane_sum(s, slot, squared);
  if (threadIdx.x == 0) mfaba_conclude(a, s, slot, m, squared[0], 0.0);
}

// Steps this block's elements and returns this thread's part of the squared length, which only the norm path
// needs. kBall: the walk stays near the image; otherwise the image is not read. The same holds for what else a
// kind of walk does without, since an advance is as slow as its memory.
template <bool kBall, bool kNorm, typename G>
__device__ double mfaba_step_rows(const LaneArrays& a, int slot, Mfaba m, float factor) {
  m.norm_path = kNorm;
  const i64 n = a.features;
  const Row<const float> image(a.image, slot, n);
  const Row<const G> gradient = gradient_row<G>(a, slot);
  const Row<float> point(a.point, slot, n), pending(a.pending, slot, n), sum(a.sum, slot, n);
  const float scale = a.scale[slot];
  double squared = 0.0;
  each_four(n, [&](auto whole, i64 i) {
    Quad x0 = {}, d = {}, total = {};
    const Quad g = gradient.load(whole, i);
    Quad x = point.load(whole, i);
    if constexpr (kBall) x0 = image.load(whole, i);
    if constexpr (!kNorm) {
      total = sum.load(whole, i);
      if (m.trapezoid) d = pending.load(whole, i);
    }
    for (int k = 0; k < 4; ++k) {
      mfaba_step(m, factor, scale, x0.v[k], &x.v[k], &d.v[k], &total.v[k], g.v[k]);
      if (kNorm && i + k < n) squared += static_cast<double>(d.v[k]) * d.v[k];
    }
    point.store(whole, i, x);
    pending.store(whole, i, d);
    if constexpr (!kNorm) sum.store(whole, i, total);
  });
  return squared;
}

// The last gradient's share of this block's elements.
template <bool kNorm, typename G>
__device__ void mfaba_close_rows(const LaneArrays& a, int slot, Mfaba m, const Plan& plan) {
  m.norm_path = kNorm;
  if (!kNorm && !m.trapezoid) return;  // the sum is complete
  const i64 n = a.features;
  const Row<const float> image(a.image, slot, n), point(a.point, slot, n), pending(a.pending, slot, n);
  const Row<const G> gradient = gradient_row<G>(a, slot);
  const Row<float> sum(a.sum, slot, n);
  const float scale = a.scale[slot];
  each_four(n, [&](auto whole, i64 i) {
    Quad x0 = {}, x = {}, d = {}, total = sum.load(whole, i);
    const Quad g = gradient.load(whole, i);
    if constexpr (kNorm) {
      x0 = image.load(whole, i);
      x = point.load(whole, i);
    } else {
      d = pending.load(whole, i);
    }
    for (int k = 0; k < 4; ++k)
      mfaba_close(m, scale, x0.v[k], x.v[k], d.v[k], plan.before, plan.length, &total.v[k], g.v[k]);
    sum.store(whole, i, total);
  });
}

template <typename G>
__device__ void mfaba_move(const LaneArrays& a, const Scratch& s, const int* slots, const Mfaba& m) {
  const int slot = slots[blockIdx.y];
  const Plan plan = s.plan[slot];
  if (plan.act == kNothing) return;
  if (plan.act == kClose)
    return m.norm_path ? mfaba_close_rows<true, G>(a, slot, m, plan)
                       : mfaba_close_rows<false, G>(a, slot, m, plan);
  const bool ball = finite(m.radius);
  if (!m.norm_path) {
    if (ball)
      mfaba_step_rows<true, false, G>(a, slot, m, plan.factor);
    else
      mfaba_step_rows<false, false, G>(a, slot, m, plan.factor);
    return;
  }
  double squared[1] = {ball ? mfaba_step_rows<true, true, G>(a, slot, m, plan.factor)
                            : mfaba_step_rows<false, true, G>(a, slot, m, plan.factor)};
  if (!last_with(s, slot, squared)) return;
  lane_sum(s, slot, squared);
  if (threadIdx.x != 0) return;
  const float after = static_cast<float>(sqrt(squared[0]));
  s.plan[slot].after = after;
  a.pending_length[slot] = after;
  a.length[slot] += after;
}

template <typename G>
__device__ void mfaba_weigh_lanes(const LaneArrays& a, const Scratch& s, const int* slots, const Mfaba& m) {
  const int slot = slots[blockIdx.y];
  const Plan plan = s.plan[slot];
  if (plan.act != kStep) return;
  const Row<const G> gradient = gradient_row<G>(a, slot);
  const Row<float> sum(a.sum, slot, a.features);
  const float scale = a.scale[slot];
  each_four(a.features, [&](auto whole, i64 i) {
    const Quad g = gradient.load(whole, i);
    Quad total = sum.load(whole, i);
    for (int k = 0; k < 4; ++k) mfaba_weigh(m, scale, plan.before, plan.after, &total.v[k], g.v[k]);
    sum.store(whole, i, total);
  });
}

}  // namespace fluxpath
