#include "advance.h"

#include "fluxpath/philox.h"

// The vector width is chosen when the module is loaded; without contraction all widths give the same results.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__)
#define FLUXPATH_VECTOR __attribute__((target_clones("avx512f", "avx2", "default")))
#define FLUXPATH_INLINED __attribute__((always_inline)) inline
#else
#define FLUXPATH_VECTOR
#define FLUXPATH_INLINED inline
#endif

namespace fluxpath {
namespace {

constexpr int kWays = 16;
// Below this many elements only one thread works. Idle OpenMP threads spin for a while and take the cores
// from the gradient graph, which with ResNet-20 on two cores cost up to a third of its speed.
constexpr i64 kParallel = 1 << 21;

// Sums in float64 in a fixed order: `kWays` interleaved partial sums, which are then added in turn.
template <typename Term>
inline double ordered_sum(i64 n, Term term) {
  double partial[kWays] = {};
  i64 i = 0;
  for (; i + kWays <= n; i += kWays)
    for (int k = 0; k < kWays; ++k) partial[k] += term(i + k);
  for (; i < n; ++i) partial[i % kWays] += term(i);
  double total = 0.0;
  for (double p : partial) total += p;
  return total;
}

FLUXPATH_VECTOR double squared_norm(const float* __restrict g, i64 n) {
  return ordered_sum(n, [g](i64 i) { return static_cast<double>(g[i]) * g[i]; });
}

FLUXPATH_VECTOR double absolute_sum(const float* __restrict g, i64 n) {
  return ordered_sum(n, [g](i64 i) { return static_cast<double>(g[i] < 0.0f ? -g[i] : g[i]); });
}

FLUXPATH_VECTOR double flux_of(const float* __restrict g, const float* __restrict point,
                               const float* __restrict image, i64 n) {
  return ordered_sum(n, [=](i64 i) { return static_cast<double>(g[i]) * (point[i] - image[i]); });
}

struct Row {
  const float *image, *gradient;
  float *point, *pending, *sum;
  float scale;
};

Row row(const LaneArrays& a, int slot) {
  const i64 offset = slot * a.features;
  return {a.image + offset, a.gradient + offset, a.point + offset, a.pending + offset, a.sum + offset,
          a.scale[slot]};
}

// The kind of walk as constants: the compiler does not vectorise the loop if it contains these branches.
template <bool kSharp, bool kTrapezoid, bool kNormPath>
FLUXPATH_INLINED void step_kind(Mfaba m, const float factor, const float scale, const i64 n,
                                const float* __restrict image, const float* __restrict gradient,
                                float* __restrict point, float* __restrict pending, float* __restrict sum) {
  m.sharp = kSharp, m.trapezoid = kTrapezoid, m.norm_path = kNormPath;
  for (i64 i = 0; i < n; ++i)
    mfaba_step(m, factor, scale, image[i], &point[i], &pending[i], &sum[i], gradient[i]);
}

FLUXPATH_VECTOR void step_elements(const Mfaba m, const float factor, const float scale, const i64 n,
                                   const float* image, const float* gradient, float* point, float* pending,
                                   float* sum) {
  if (m.norm_path && m.sharp)
    step_kind<true, false, true>(m, factor, scale, n, image, gradient, point, pending, sum);
  else if (m.norm_path)
    step_kind<false, false, true>(m, factor, scale, n, image, gradient, point, pending, sum);
  else if (m.sharp && m.trapezoid)
    step_kind<true, true, false>(m, factor, scale, n, image, gradient, point, pending, sum);
  else if (m.sharp)
    step_kind<true, false, false>(m, factor, scale, n, image, gradient, point, pending, sum);
  else if (m.trapezoid)
    step_kind<false, true, false>(m, factor, scale, n, image, gradient, point, pending, sum);
  else
    step_kind<false, false, false>(m, factor, scale, n, image, gradient, point, pending, sum);
}

FLUXPATH_VECTOR void close_elements(const Mfaba m, const float scale, const float pending_length,
                                    const float length, const i64 n, const float* __restrict image,
                                    const float* __restrict gradient, const float* __restrict point,
                                    const float* __restrict pending, float* __restrict sum) {
  for (i64 i = 0; i < n; ++i)
    mfaba_close(m, scale, image[i], point[i], pending[i], pending_length, length, &sum[i], gradient[i]);
}

FLUXPATH_VECTOR void weigh_elements(const Mfaba m, const float scale, const float before, const float after,
                                    const i64 n, const float* __restrict gradient, float* __restrict sum) {
  for (i64 i = 0; i < n; ++i) mfaba_weigh(m, scale, before, after, &sum[i], gradient[i]);
}

void advance_lane(const LaneArrays& a, int slot, const Mfaba& m) {
  const Row r = row(a, slot);
  const double squared = squared_norm(r.gradient, a.features);
  const double absolute = mfaba_sums_absolutes(m, a.step[slot]) ? absolute_sum(r.gradient, a.features) : 0.0;
  const MfabaSeen seen = {squared,       absolute,       a.score[slot], r.scale,
                          a.label[slot], a.target[slot], a.step[slot]};
  const MfabaMove move = mfaba_decide(m, seen, &a.reach[slot]);
  a.status[slot] = move.status;
  if (move.status == kNonFinite) return;
  if (move.status != kRunning) {
    close_elements(m, r.scale, a.pending_length[slot], a.length[slot], a.features, r.image, r.gradient,
                   r.point, r.pending, r.sum);
    return;
  }
  step_elements(m, move.factor, r.scale, a.features, r.image, r.gradient, r.point, r.pending, r.sum);
  ++a.step[slot];
  if (m.norm_path) {
    const float before = a.pending_length[slot];
    const float after = static_cast<float>(sqrt(squared_norm(r.pending, a.features)));
    weigh_elements(m, r.scale, before, after, a.features, r.gradient, r.sum);
    a.pending_length[slot] = after;
    a.length[slot] += after;
  }
}

FLUXPATH_VECTOR void next_elements(const Neflag m, const float radius, const i64 n, const float* __restrict image,
                                   const float* __restrict gradient, float* __restrict point) {
  for (i64 i = 0; i < n; ++i) point[i] = neflag_next(m, radius, image[i], gradient[i]);
}

FLUXPATH_VECTOR void flux_elements(const float scale, const i64 n, const float* __restrict image,
                                   const float* __restrict gradient, const float* __restrict point,
                                   float* __restrict sum) {
  for (i64 i = 0; i < n; ++i) sum[i] = neflag_flux(scale, image[i], point[i], gradient[i]);
}

void advance_lane(const LaneArrays& a, int slot, const Neflag& m) {
  const Row r = row(a, slot);
  const double squared = squared_norm(r.gradient, a.features);
  const double flux = flux_of(r.gradient, r.point, r.image, a.features);
  const int status =
      neflag_decide(m, squared, flux, r.scale, a.label[slot], a.target[slot], a.step[slot]);
  a.status[slot] = status;
  if (status == kNonFinite) return;
  if (status == kRunning) {
    next_elements(m, neflag_radius(m, a.reach[slot]), a.features, r.image, r.gradient, r.point);
    ++a.step[slot];
  } else {
    flux_elements(r.scale, a.features, r.image, r.gradient, r.point, r.sum);
  }
}

void start_lane(const LaneArrays& a, int slot, u32 number, const Neflag& m, u64 seed) {
  const Row r = row(a, slot);
  const i64 n = a.features;
  for (i64 i = 0; i < n; i += 4) {
    float normals[4];
    four_normals(seed, number, static_cast<u64>(i / 4), normals);
    for (i64 k = 0; k < 4 && i + k < n; ++k) r.point[i + k] = normals[k];
  }
  const float to_unit = static_cast<float>(1.0 / sqrt(squared_norm(r.point, n)));
  const float radius = neflag_radius(m, a.reach[slot]);
  for (i64 i = 0; i < n; ++i) r.point[i] = neflag_start(m, radius, r.image[i], to_unit * r.point[i]);
}

void advance_lane(const LaneArrays& a, int slot, const Reach& m) {
  const Row r = row(a, slot);
  const double squared = squared_norm(r.gradient, a.features);
  const double norm = m.signs ? absolute_sum(r.gradient, a.features) : sqrt(squared);
  a.reach[slot] = reach_of(m, norm, a.score[slot], r.scale);
  a.status[slot] = finite(a.score[slot]) ? kComplete : kNonFinite;
}

FLUXPATH_VECTOR void weigh_elements(const Weighted m, const float weight, const float scale, const i64 n,
                                    const float* __restrict image, const float* __restrict reference,
                                    const float* __restrict gradient, float* __restrict sum) {
  for (i64 i = 0; i < n; ++i)
    sum[i] = weighted_term(m, weight, scale, image[i], reference[i], gradient[i]);
}

void advance_lane(const LaneArrays& a, int slot, float weight, const Weighted& m) {
  const Row r = row(a, slot);
  a.status[slot] = weighted_decide(squared_norm(r.gradient, a.features), r.scale);
  if (a.status[slot] == kNonFinite) return;
  weigh_elements(m, weight, r.scale, a.features, r.image, r.pending, r.gradient, r.sum);
  ++a.step[slot];
}

FLUXPATH_VECTOR void straight_elements(const float share, const i64 n, const float* __restrict image,
                                       const float* __restrict reference, float* __restrict point) {
  for (i64 i = 0; i < n; ++i) point[i] = straight_point(image[i], reference[i], share);
}

template <typename Work>
void each_lane(i64 count, i64 features, Work work) {
#pragma omp parallel for schedule(static) if (count > 1 && count * features >= kParallel)
  for (i64 i = 0; i < count; ++i) work(i);
}

}  // namespace

void advance(const LaneArrays& lanes, const int* slots, i64 count, const Mfaba& method) {
  each_lane(count, lanes.features, [&](i64 i) { advance_lane(lanes, slots[i], method); });
}

void advance(const LaneArrays& lanes, const int* slots, i64 count, const Neflag& method) {
  each_lane(count, lanes.features, [&](i64 i) { advance_lane(lanes, slots[i], method); });
}

void advance(const LaneArrays& lanes, const int* slots, i64 count, const Reach& method) {
  each_lane(count, lanes.features, [&](i64 i) { advance_lane(lanes, slots[i], method); });
}

void start(const LaneArrays& lanes, const int* slots, const int* numbers, i64 count, const Neflag& method,
           u64 seed) {
  each_lane(count, lanes.features,
            [&](i64 i) { start_lane(lanes, slots[i], static_cast<u32>(numbers[i]), method, seed); });
}

void advance(const LaneArrays& lanes, const int* slots, const float* weights, i64 count,
             const Weighted& method) {
  each_lane(count, lanes.features, [&](i64 i) { advance_lane(lanes, slots[i], weights[i], method); });
}

void start_straight(const LaneArrays& lanes, const int* slots, const float* shares, i64 count) {
  each_lane(count, lanes.features, [&](i64 i) {
    const Row r = row(lanes, slots[i]);
    straight_elements(shares[i], lanes.features, r.image, r.pending, r.point);
  });
}

void start_noise(const LaneArrays& lanes, const int* slots, const int* numbers, i64 count, float deviation,
                 float low, float high, u64 seed) {
  const i64 n = lanes.features;
  each_lane(count, n, [&](i64 lane) {
    const Row r = row(lanes, slots[lane]);
    for (i64 i = 0; i < n; i += 4) {
      float normals[4];
      four_normals(seed, static_cast<u32>(numbers[lane]), static_cast<u64>(i / 4), normals);
      for (i64 k = 0; k < 4 && i + k < n; ++k)
        r.point[i + k] = noisy_point(r.image[i + k], deviation, normals[k], low, high);
    }
  });
}

void lane_words(u64 seed, i64 count, u32* words) {
  for (i64 lane = 0; lane < count; ++lane) four_words(seed, static_cast<u32>(lane), words + 4 * lane);
}

}  // namespace fluxpath
