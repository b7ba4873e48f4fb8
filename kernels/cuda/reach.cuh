// The reach of lanes at their images, for methods whose lanes start elsewhere: `measure` is all there is to it.
#pragma once

#include "block.cuh"
#include "fluxpath/reach.h"

namespace fluxpath {

template <typename G>
__device__ void reach_measure(const LaneArrays& a, const Scratch& s, const int* slots, const Reach& m) {
  const int slot = slots[blockIdx.y];
  if (!goes_on(s, slot, a.status[slot])) return;
  double sum[1] = {m.signs ? absolute_gradient<G>(a, slot) : squared_gradient<G>(a, slot)};
  if (!last_with(s, slot, sum)) return;
  lane_sum(s, slot, sum);
  if (threadIdx.x != 0) return;
  a.reach[slot] = reach_of(m, m.signs ? sum[0] : sqrt(sum[0]), a.score[slot], a.scale[slot]);
  a.status[slot] = finite(a.score[slot]) ? kComplete : kNonFinite;
}

}  // namespace fluxpath
