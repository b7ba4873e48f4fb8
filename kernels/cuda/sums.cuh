// Adds the rows of an image's ended lanes to the image's own row, one lane after the other, as the CPU does.
// Elements are summed independently, so the split into blocks can suit the memory: each thread handles four
// elements in one access of 16 bytes, and the grid is (blocks, images).
#pragma once

#include "block.cuh"

namespace fluxpath {

// An image with ended lanes: the address of its own rows, and which entries of `rows` are added, in order.
// Each of its own rows is aligned and has room for a multiple of four elements.
struct Gathered {
  void* own;
  int first, count;
  int before;  // the number of lanes already added; if 0, the old contents of `own` are not read
  int unused;
};

__device__ inline i64 first_of_four() {
  return 4 * (static_cast<i64>(blockIdx.x) * kThreads + static_cast<i64>(threadIdx.x));
}

__device__ inline i64 up_to_four(i64 n) { return (n + 3) / 4 * 4; }

__device__ inline void add_rows(const Gathered* images, const float* const* rows, i64 n) {
  const Gathered image = images[blockIdx.y];
  const float* const* mine = rows + image.first;
  const i64 i = first_of_four();
  if (i >= n) return;
  const Row<float> own(static_cast<float*>(image.own), 0, up_to_four(n));
  Quad sum = {};
  if (image.before > 0) sum = own.load(Whole<true>{}, i);
  if (n % 4 == 0) {
#pragma unroll 8
    for (int k = 0; k < image.count; ++k) {
      const float4 row = *reinterpret_cast<const float4*>(mine[k] + i);
      sum.v[0] += row.x;
      sum.v[1] += row.y;
      sum.v[2] += row.z;
      sum.v[3] += row.w;
    }
  } else {
    for (int k = 0; k < image.count; ++k)
      for (int j = 0; j < 4; ++j)
        if (i + j < n) sum.v[j] += mine[k][i + j];
  }
  own.store(Whole<true>{}, i, sum);
}

// Four float64 as two accesses of 16 bytes.
struct alignas(16) Two {
  double v[2];
};

__device__ inline void load_four(const double* from, double* to) {
  for (int k = 0; k < 2; ++k) {
    const Two two = reinterpret_cast<const Two*>(from)[k];
    to[2 * k] = two.v[0];
    to[2 * k + 1] = two.v[1];
  }
}

__device__ inline void store_four(double* to, const double* from) {
  for (int k = 0; k < 2; ++k) reinterpret_cast<Two*>(to)[k] = {from[2 * k], from[2 * k + 1]};
}

// Welford's recurrence; an image's own rows are the mean and the sum of squares, float64.
__device__ inline void add_moments_of(const Gathered* images, const float* const* rows, i64 n) {
  const Gathered image = images[blockIdx.y];
  const i64 i = first_of_four();
  if (i >= n) return;
  double* const means = static_cast<double*>(image.own) + i;
  double* const all_squares = means + up_to_four(n);
  double mean[4] = {}, squares[4] = {};
  if (image.before > 0) {
    load_four(means, mean);
    load_four(all_squares, squares);
  }
  for (int k = 0; k < image.count; ++k) {
    const Row<const float> lane(rows[image.first + k], 0, n);
    const Quad row = n % 4 == 0 ? lane.load(Whole<true>{}, i) : lane.load(Whole<false>{}, i);
    const double count = image.before + k + 1;
    for (int j = 0; j < 4; ++j) {
      const double before = row.v[j] - mean[j];
      mean[j] += before / count;
      squares[j] += before * (row.v[j] - mean[j]);
    }
  }
  store_four(means, mean);
  store_four(all_squares, squares);
}

// Writes the variance of `count` samples as float32 over the mean, which is no longer needed.
__device__ inline void variance_from(void* own, int count, i64 n) {
  const i64 i = first_of_four();
  if (i >= n) return;
  double squares[4];
  load_four(static_cast<const double*>(own) + up_to_four(n) + i, squares);
  Quad variance;
  for (int j = 0; j < 4; ++j) variance.v[j] = static_cast<float>(squares[j] / count);
  Row<float>(static_cast<float*>(own), 0, up_to_four(n)).store(Whole<true>{}, i, variance);
}

}  // namespace fluxpath
