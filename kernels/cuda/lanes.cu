// CUDA kernels: one advance of each lane, a block a lane. The mathematics is the headers', element by
// element the same as on the CPU.
#include "fluxpath/mfaba.h"
#include "fluxpath/neflag.h"
#include "fluxpath/philox.h"
#include "fluxpath/weighted.h"

namespace fluxpath {

// Every kernel here is launched with blocks of this size, as many as there are lanes.
constexpr int kThreads = 256;

// The sum of term(0) .. term(n - 1) in float64, in an order that depends on n alone; every thread gets it.
template <typename Term>
__device__ double block_sum(i64 n, Term term) {
  __shared__ double partial[kThreads];
  double mine = 0.0;
  for (i64 i = threadIdx.x; i < n; i += kThreads) mine += term(i);
  partial[threadIdx.x] = mine;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
  }
  __syncthreads();
  const double total = partial[0];
  __syncthreads();  // before the next sum writes to `partial`
  return total;
}

__device__ double squared_norm(const float* x, i64 n) {
  return block_sum(n, [=](i64 i) { return static_cast<double>(x[i]) * x[i]; });
}

// Each element of a row belongs to one thread.
template <typename Work>
__device__ void each_element(i64 n, Work work) {
  for (i64 i = threadIdx.x; i < n; i += kThreads) work(i);
}

__device__ i64 decided_target(const LaneArrays& a, int slot) {
  return a.target[slot] < 0 ? a.label[slot] : a.target[slot];
}

__global__ void advance_mfaba(LaneArrays a, const int* slots, Mfaba m) {
  const int slot = slots[blockIdx.x];
  const i64 n = a.features, row = slot * n;
  const float *image = a.image + row, *gradient = a.gradient + row;
  float *point = a.point + row, *pending = a.pending + row, *sum = a.sum + row;
  const float scale = a.scale[slot], before = a.pending_length[slot], length = a.length[slot];
  const i64 target = decided_target(a, slot);
  const int step = a.step[slot];

  const double squared = squared_norm(gradient, n);
  const MfabaMove move = mfaba_decide(m, squared, scale, a.label[slot], target, step);
  float after = 0.0f;
  if (move.status == kRunning) {
    each_element(n, [=](i64 i) {
      mfaba_step(m, move.factor, scale, image[i], &point[i], &pending[i], &sum[i], gradient[i]);
    });
    if (m.norm_path) {
      after = static_cast<float>(sqrt(squared_norm(pending, n)));
      each_element(n, [=](i64 i) { mfaba_weigh(m, scale, before, after, &sum[i], gradient[i]); });
    }
  } else if (move.status != kNonFinite) {
    each_element(n, [=](i64 i) {
      mfaba_close(m, scale, image[i], point[i], pending[i], before, length, &sum[i], gradient[i]);
    });
  }

  // All threads have read the lane's entries: squared_norm synchronizes.
  if (threadIdx.x != 0) return;
  a.target[slot] = target;
  a.status[slot] = move.status;
  if (move.status != kRunning) return;
  a.step[slot] = step + 1;
  if (m.norm_path) {
    a.pending_length[slot] = after;
    a.length[slot] = length + after;
  }
}

__global__ void advance_neflag(LaneArrays a, const int* slots, Neflag m) {
  const int slot = slots[blockIdx.x];
  const i64 n = a.features, row = slot * n;
  const float *image = a.image + row, *gradient = a.gradient + row;
  float *point = a.point + row, *sum = a.sum + row;
  const float scale = a.scale[slot];
  const i64 target = decided_target(a, slot);
  const int step = a.step[slot];

  const double squared = squared_norm(gradient, n);
  const double flux =
      block_sum(n, [=](i64 i) { return static_cast<double>(gradient[i]) * (point[i] - image[i]); });
  const int status = neflag_decide(m, squared, flux, scale, a.label[slot], target, step);
  if (status == kRunning)
    each_element(n, [=](i64 i) { point[i] = neflag_next(m, image[i], gradient[i]); });
  else if (status != kNonFinite)
    each_element(n, [=](i64 i) { sum[i] = neflag_flux(scale, image[i], point[i], gradient[i]); });

  if (threadIdx.x != 0) return;
  a.target[slot] = target;
  a.status[slot] = status;
  if (status == kRunning) a.step[slot] = step + 1;
}

// A thread takes four elements at a time, as the generator gives them.
__global__ void start_neflag(LaneArrays a, const int* slots, const int* numbers, Neflag m, u64 seed) {
  const int slot = slots[blockIdx.x];
  const i64 n = a.features, row = slot * n;
  const float* image = a.image + row;
  float* point = a.point + row;
  const u32 number = static_cast<u32>(numbers[blockIdx.x]);
  each_element((n + 3) / 4, [=](i64 block) {
    float normals[4];
    four_normals(seed, number, static_cast<u64>(block), normals);
    for (i64 k = 0; k < 4 && 4 * block + k < n; ++k) point[4 * block + k] = normals[k];
  });
  __syncthreads();
  const float to_unit = static_cast<float>(1.0 / sqrt(squared_norm(point, n)));
  each_element(n, [=](i64 i) { point[i] = neflag_start(m, image[i], to_unit * point[i]); });
}

__global__ void advance_weighted(LaneArrays a, const int* slots, const float* weights, Weighted m) {
  const int slot = slots[blockIdx.x];
  const i64 n = a.features, row = slot * n;
  const float *image = a.image + row, *reference = a.pending + row, *gradient = a.gradient + row;
  float* sum = a.sum + row;
  const float scale = a.scale[slot], weight = weights[blockIdx.x];
  const i64 target = decided_target(a, slot);
  const int status = weighted_decide(squared_norm(gradient, n), scale);
  if (status != kNonFinite)
    each_element(n, [=](i64 i) {
      sum[i] = weighted_term(m, weight, scale, image[i], reference[i], gradient[i]);
    });

  if (threadIdx.x != 0) return;
  a.target[slot] = target;
  a.status[slot] = status;
  if (status != kNonFinite) ++a.step[slot];
}

__global__ void start_straight(LaneArrays a, const int* slots, const float* shares) {
  const i64 n = a.features, row = slots[blockIdx.x] * n;
  const float *image = a.image + row, *reference = a.pending + row;
  float* point = a.point + row;
  const float share = shares[blockIdx.x];
  each_element(n, [=](i64 i) { point[i] = straight_point(image[i], reference[i], share); });
}

__global__ void start_noise(LaneArrays a, const int* slots, const int* numbers, float deviation, float low,
                            float high, u64 seed) {
  const i64 n = a.features, row = slots[blockIdx.x] * n;
  const float* image = a.image + row;
  float* point = a.point + row;
  const u32 number = static_cast<u32>(numbers[blockIdx.x]);
  each_element((n + 3) / 4, [=](i64 block) {
    float normals[4];
    four_normals(seed, number, static_cast<u64>(block), normals);
    for (i64 k = 0; k < 4 && 4 * block + k < n; ++k)
      point[4 * block + k] = noisy_point(image[4 * block + k], deviation, normals[k], low, high);
  });
}

// A thread a lane; launched with as many as there are lanes, in any shape of blocks.
__global__ void lane_words(u64 seed, i64 count, u32* words) {
  const i64 lane = blockIdx.x * static_cast<i64>(blockDim.x) + threadIdx.x;
  if (lane < count) four_words(seed, static_cast<u32>(lane), words + 4 * lane);
}

}  // namespace fluxpath
