// The kernels by name. Blocks have kThreads threads. The grid is (chunks, lanes); note_start has one thread
// per slot, and sums.cuh has its own grid. A kernel that reads gradients exists once per gradient type.
#include "mfaba.cuh"
#include "neflag.cuh"
#include "reach.cuh"
#include "slots.cuh"
#include "sums.cuh"
#include "weighted.cuh"

using namespace fluxpath;

#define FLUXPATH_KERNEL extern "C" __global__ void __launch_bounds__(fluxpath::kThreads)

#define FLUXPATH_FOR_GRADIENTS(type, G)                                                              \
  FLUXPATH_KERNEL mfaba_measure_##type(LaneArrays a, Scratch s, const int* slots, Mfaba m) {         \
    mfaba_measure<G>(a, s, slots, m);                                                                \
  }                                                                                                  \
  FLUXPATH_KERNEL mfaba_move_##type(LaneArrays a, Scratch s, const int* slots, Mfaba m) {            \
    mfaba_move<G>(a, s, slots, m);                                                                   \
  }                                                                                                  \
  FLUXPATH_KERNEL mfaba_weigh_##type(LaneArrays a, Scratch s, const int* slots, Mfaba m) {           \
    mfaba_weigh_lanes<G>(a, s, slots, m);                                                            \
  }                                                                                                  \
  FLUXPATH_KERNEL neflag_measure_##type(LaneArrays a, Scratch s, const int* slots, Neflag m) {       \
    neflag_measure<G>(a, s, slots, m);                                                               \
  }                                                                                                  \
  FLUXPATH_KERNEL neflag_move_##type(LaneArrays a, Scratch s, const int* slots, Neflag m) {          \
    neflag_move<G>(a, s, slots, m);                                                                  \
  }                                                                                                  \
  FLUXPATH_KERNEL reach_measure_##type(LaneArrays a, Scratch s, const int* slots, Reach m) {         \
    reach_measure<G>(a, s, slots, m);                                                                \
  }                                                                                                  \
  FLUXPATH_KERNEL weighted_measure_##type(LaneArrays a, Scratch s, const int* slots) {               \
    weighted_measure<G>(a, s, slots);                                                                \
  }                                                                                                  \
  FLUXPATH_KERNEL weighted_move_##type(LaneArrays a, Scratch s, const int* slots,                    \
                                       const float* weights, Weighted m) {                           \
    weighted_move<G>(a, s, slots, weights, m);                                                       \
  }

FLUXPATH_FOR_GRADIENTS(float32, float)
FLUXPATH_FOR_GRADIENTS(float16, Half)
FLUXPATH_FOR_GRADIENTS(bfloat16, Brain)

FLUXPATH_KERNEL neflag_draw(LaneArrays a, Scratch s, const int* slots, const int* numbers, u64 seed) {
  neflag_draw_lanes(a, s, slots, numbers, seed);
}

FLUXPATH_KERNEL neflag_place(LaneArrays a, Scratch s, const int* slots, Neflag m) {
  neflag_place_lanes(a, s, slots, m);
}

FLUXPATH_KERNEL straight_place(LaneArrays a, const int* slots, const float* shares) {
  straight_lanes(a, slots, shares);
}

FLUXPATH_KERNEL noise_place(LaneArrays a, const int* slots, const int* numbers, float deviation, float low,
                            float high, u64 seed) {
  noise_lanes(a, slots, numbers, deviation, low, high, seed);
}

FLUXPATH_KERNEL fill_lanes(LaneArrays a, Notes notes, const float* images, const Fresh* fresh) {
  fill_slots(a, notes, images, fresh);
}

FLUXPATH_KERNEL move_lanes(LaneArrays a, Notes notes, const int* pairs) { move_slots(a, notes, pairs); }

FLUXPATH_KERNEL note_start(LaneArrays a, Notes notes, int count) { note_start_of(a, notes, count); }

FLUXPATH_KERNEL add_sums(const Gathered* images, const float* const* rows, i64 features) {
  add_rows(images, rows, features);
}

FLUXPATH_KERNEL add_moments(const Gathered* images, const float* const* rows, i64 features) {
  add_moments_of(images, rows, features);
}

FLUXPATH_KERNEL variance_of(void* own, int count, i64 features) { variance_from(own, count, features); }
