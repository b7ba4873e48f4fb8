// What the engine does with slots between two evaluations: fill one, move one, remember how lanes began.
#pragma once

#include "block.cuh"

namespace fluxpath {

// Further entries per slot, which the recurrences do not need.
struct Notes {
  const float* score;  // the objective at `point`
  float* first_score;
  i64* first_label;
  i64* first_target;  // the explained class, whatever a method asks for later
  int* begun;         // whether the lane was evaluated yet
};

// A lane that begins: where, and the row of its image among those that were sent for all of them.
struct Fresh {
  i64 target;
  int slot, row;
};

// A new lane for each of `fresh`.
__device__ inline void fill_slots(const LaneArrays& a, const Notes& notes, const float* images,
                                  const Fresh* fresh) {
  const Fresh lane = fresh[blockIdx.y];
  const int slot = lane.slot;
  const i64 n = a.features;
  const Row<const float> given(images, lane.row, n);
  const Row<float> image(const_cast<float*>(a.image), slot, n), point(a.point, slot, n),
      pending(a.pending, slot, n), sum(a.sum, slot, n);
  each_four(n, [&](i64 i) {
    const Quad x = given.load(i);
    image.store(i, x);
    point.store(i, x);
    pending.store(i, Quad{});
    sum.store(i, Quad{});
  });
  if (!first_thread()) return;
  a.target[slot] = lane.target;
  notes.begun[slot] = 0;
  a.step[slot] = a.status[slot] = 0;
  a.length[slot] = a.pending_length[slot] = 0.0f;
}

// Pairs of slots, from and to; none is in two pairs, so their order does not matter.
__device__ inline void move_slots(const LaneArrays& a, const Notes& notes, const int* pairs) {
  const int from = pairs[2 * blockIdx.y], to = pairs[2 * blockIdx.y + 1];
  float* const arrays[] = {const_cast<float*>(a.image), a.point, a.pending, a.sum};
  for (float* rows : arrays) {
    const Row<const float> source(rows, from, a.features);
    const Row<float> free(rows, to, a.features);
    each_four(a.features, [&](i64 i) { free.store(i, source.load(i)); });
  }
  if (!first_thread()) return;
  a.target[to] = a.target[from];
  a.step[to] = a.step[from];
  a.status[to] = a.status[from];
  a.length[to] = a.length[from];
  a.pending_length[to] = a.pending_length[from];
  notes.first_target[to] = notes.first_target[from];
  notes.begun[to] = notes.begun[from];
  notes.first_score[to] = notes.first_score[from];
  notes.first_label[to] = notes.first_label[from];
}

// One thread per slot: score, label and target of lanes evaluated for the first time; a target left to the
// model is decided.
__device__ inline void note_start_of(const LaneArrays& a, const Notes& notes, int count) {
  const int slot = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (slot >= count || notes.begun[slot] != 0) return;
  notes.begun[slot] = 1;
  notes.first_score[slot] = notes.score[slot];
  notes.first_label[slot] = a.label[slot];
  if (a.target[slot] < 0) a.target[slot] = a.label[slot];
  notes.first_target[slot] = a.target[slot];
}

}  // namespace fluxpath
