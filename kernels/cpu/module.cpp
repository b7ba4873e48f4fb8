// The Python interface of the CPU kernels; arrays are used in place, without copies.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include <algorithm>
#include <stdexcept>

#include "advance.h"
#include "extent.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace fluxpath {
namespace {

template <typename T>
using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// Keeps the arrays alive and checks once that their shapes match.
class Lanes {
 public:
  Lanes(Rows image, Rows point, Rows pending, Rows sum, Rows gradient, Vector<float> scale,
        Vector<float> score, Vector<i64> label, Vector<i64> target, Vector<int> step, Vector<int> status,
        Vector<float> length, Vector<float> pending_length, Vector<float> reach)
      : slots_(static_cast<i64>(point.shape(0))),
        held_{nb::cast(image), nb::cast(point), nb::cast(pending), nb::cast(sum), nb::cast(gradient),
              nb::cast(scale), nb::cast(score), nb::cast(label), nb::cast(target), nb::cast(step),
              nb::cast(status), nb::cast(length), nb::cast(pending_length), nb::cast(reach)} {
    for (const Rows* rows : {&image, &pending, &sum, &gradient})
      if (rows->shape(0) != point.shape(0) || rows->shape(1) != point.shape(1))
        throw std::invalid_argument("all row arrays must have the shape of point");
    for (size_t size : {scale.shape(0), score.shape(0), label.shape(0), target.shape(0), step.shape(0),
                        status.shape(0), length.shape(0), pending_length.shape(0), reach.shape(0)})
      if (size != point.shape(0)) throw std::invalid_argument("all vectors must have one entry per slot");
    image_ = image.data();
    arrays_ = {image.data(),  point.data(),  pending.data(), sum.data(),    gradient.data(),
               scale.data(),  score.data(),  label.data(),   target.data(), step.data(),
               status.data(), length.data(), pending_length.data(), reach.data(),
               static_cast<i64>(point.shape(1))};
  }

  // Resets the slot for a new lane at its image. One call, because ten assignments from Python would take a
  // noticeable time for a single image.
  void clear(i64 slot, Vector<const float> image, i64 target, float reach) const {
    if (slot < 0 || slot >= slots_) throw nb::index_error("no such slot");
    const i64 n = arrays_.features;
    if (static_cast<i64>(image.shape(0)) != n) throw std::invalid_argument("image must have the features of point");
    std::copy_n(image.data(), n, image_ + slot * n);
    std::copy_n(image.data(), n, arrays_.point + slot * n);
    std::fill_n(arrays_.pending + slot * n, n, 0.0f);
    std::fill_n(arrays_.sum + slot * n, n, 0.0f);
    arrays_.target[slot] = target;
    arrays_.step[slot] = arrays_.status[slot] = 0;
    arrays_.length[slot] = arrays_.pending_length[slot] = 0.0f;
    arrays_.reach[slot] = reach;
  }

  template <typename Method>
  void advance(Vector<const int> slots, const Method& method) const {
    check(slots);
    nb::gil_scoped_release release;
    fluxpath::advance(arrays_, slots.data(), static_cast<i64>(slots.shape(0)), method);
  }

  void start(Vector<const int> slots, Vector<const int> numbers, const Neflag& method, u64 seed) const {
    check(slots);
    if (numbers.shape(0) != slots.shape(0)) throw std::invalid_argument("numbers must match slots");
    nb::gil_scoped_release release;
    fluxpath::start(arrays_, slots.data(), numbers.data(), static_cast<i64>(slots.shape(0)), method, seed);
  }

  void advance_weighted(Vector<const int> slots, Vector<const float> weights, const Weighted& method) const {
    check(slots);
    same_length(slots, weights.shape(0));
    nb::gil_scoped_release release;
    fluxpath::advance(arrays_, slots.data(), weights.data(), static_cast<i64>(slots.shape(0)), method);
  }

  void start_straight(Vector<const int> slots, Vector<const float> shares) const {
    check(slots);
    same_length(slots, shares.shape(0));
    nb::gil_scoped_release release;
    fluxpath::start_straight(arrays_, slots.data(), shares.data(), static_cast<i64>(slots.shape(0)));
  }

  void start_noise(Vector<const int> slots, Vector<const int> numbers, float deviation, float low,
                   float high, u64 seed) const {
    check(slots);
    same_length(slots, numbers.shape(0));
    nb::gil_scoped_release release;
    fluxpath::start_noise(arrays_, slots.data(), numbers.data(), static_cast<i64>(slots.shape(0)), deviation,
                          low, high, seed);
  }

 private:
  static void same_length(const Vector<const int>& slots, size_t length) {
    if (length != slots.shape(0)) throw std::invalid_argument("one entry per slot is needed");
  }

  void check(const Vector<const int>& slots) const {
    for (size_t i = 0; i < slots.shape(0); ++i)
      if (slots.data()[i] < 0 || slots.data()[i] >= slots_) throw nb::index_error("no such slot");
  }

  LaneArrays arrays_;
  float* image_;  // writable, unlike arrays_.image
  i64 slots_;
  nb::object held_[14];
};

// The bytes of the settings, which CUDA kernels take by value as the same struct of the same header.
template <typename Method>
nb::bytes as_argument(const Method& method) {
  return nb::bytes(&method, sizeof method);
}

constexpr const char* kAsArgument = "The bytes of the struct, to pass to a CUDA kernel by value.";

}  // namespace
}  // namespace fluxpath

NB_MODULE(_cpu, m) {
  using namespace fluxpath;
  // Settings are cached for the life of the process (functools.lru_cache), which is not a leak.
  nb::set_leak_warnings(false);
  m.doc() = "The recurrences of the attribution methods on the CPU; see fluxpath/lanes.h for the arrays.";
  nb::class_<Mfaba>(m, "Mfaba", "Settings of MFABA; see fluxpath/mfaba.h.").def(
      "__init__",
      [](Mfaba* self, bool sharp, bool trapezoid, bool norm_path, int max_steps, float step_size,
         float radius, float low, float high, bool relative, int steady, float growth, int objective) {
        new (self) Mfaba{sharp,    trapezoid, norm_path, max_steps, step_size,           radius, low, high,
                         relative, steady,    growth,    Reach{objective, !sharp}};
      },
      nb::kw_only(), "sharp"_a, "trapezoid"_a, "norm_path"_a, "max_steps"_a, "step_size"_a, "radius"_a,
      "low"_a, "high"_a, "relative"_a = false, "steady"_a = 0, "growth"_a = 0.0f, "objective"_a = 0)
      .def_ro("norm_path", &Mfaba::norm_path)
      .def("__bytes__", &as_argument<Mfaba>, kAsArgument);
  nb::class_<Neflag>(m, "Neflag", "Settings of NeFLAG; see fluxpath/neflag.h.").def(
      "__init__",
      [](Neflag* self, bool stop_at_flux, int max_steps, float radius, float low, float high, bool relative) {
        new (self) Neflag{stop_at_flux, max_steps, radius, low, high, relative};
      },
      nb::kw_only(), "stop_at_flux"_a, "max_steps"_a, "radius"_a, "low"_a, "high"_a, "relative"_a = false)
      .def("__bytes__", &as_argument<Neflag>, kAsArgument);
  nb::class_<Reach>(m, "Reach", "How far the boundary is; see fluxpath/reach.h.").def(
      "__init__", [](Reach* self, int objective, bool signs) { new (self) Reach{objective, signs}; },
      nb::kw_only(), "objective"_a, "signs"_a)
      .def("__bytes__", &as_argument<Reach>, kAsArgument);
  nb::class_<Weighted>(m, "Weighted", "How a gradient is weighted; see fluxpath/weighted.h.").def(
      "__init__",
      [](Weighted* self, int multiplier, int power) { new (self) Weighted{multiplier, power}; },
      nb::kw_only(), "multiplier"_a, "power"_a)
      .def("__bytes__", &as_argument<Weighted>, kAsArgument);
  m.def(
      "lane_words",
      [](u64 seed, nb::ndarray<u32, nb::shape<-1, 4>, nb::c_contig, nb::device::cpu> words) {
        lane_words(seed, static_cast<i64>(words.shape(0)), words.data());
      },
      "seed"_a, nb::arg("words").noconvert(),
      "Fill uint32 [lanes, 4] with random words that depend only on the seed and the lane.");
  m.def(
      "extent",
      [](Vector<const float> values) {
        const Extent found = extent(values.data(), static_cast<i64>(values.shape(0)));
        return std::make_pair(found.least, found.most);
      },
      nb::arg("values").noconvert(), "The least and the largest value; NaN for both if any is NaN.");
  // An array of another type or layout must be refused: converting it would make a copy and write the results
  // into that.
  const auto in_place = [](const char* name) { return nb::arg(name).noconvert(); };
  nb::class_<Lanes>(m, "Lanes", "The arrays of all slots, worked on in place; ValueError if they do not fit.")
      .def(nb::init<Rows, Rows, Rows, Rows, Rows, Vector<float>, Vector<float>, Vector<i64>, Vector<i64>,
                    Vector<int>, Vector<int>, Vector<float>, Vector<float>, Vector<float>>(),
           nb::kw_only(), in_place("image"), in_place("point"), in_place("pending"), in_place("sum"),
           in_place("gradient"), in_place("scale"), in_place("score"), in_place("label"), in_place("target"),
           in_place("step"), in_place("status"), in_place("length"), in_place("pending_length"),
           in_place("reach"))
      .def("clear", &Lanes::clear, "slot"_a, "image"_a, "target"_a, "reach"_a = 0.0f,
           "Put a new lane for `image`, float32 [features], into the slot; IndexError if out of range.")
      .def("advance_mfaba", &Lanes::advance<Mfaba>, in_place("slots"), "method"_a,
           "Take one step, or end the walk, of the lanes in these slots (int32; IndexError if out of range).")
      .def("advance_neflag", &Lanes::advance<Neflag>, in_place("slots"), "method"_a,
           "Take one sign step, or compute the flux and end, for the lanes in these slots.")
      .def("advance_reach", &Lanes::advance<Reach>, in_place("slots"), "method"_a,
           "Set the reach of the lanes in these slots, which are at their images; this completes them.")
      .def("start_neflag", &Lanes::start, in_place("slots"), in_place("numbers"), "method"_a, "seed"_a,
           "Put the lanes in these slots at their random points on the sphere.")
      .def("advance_weighted", &Lanes::advance_weighted, in_place("slots"), in_place("weights"), "method"_a,
           "sum = weight * the gradient in the form that `method` sets; this completes the lanes.")
      .def("start_straight", &Lanes::start_straight, in_place("slots"), in_place("shares"),
           "point = pending + share * (image - pending), with one share per slot.")
      .def("start_noise", &Lanes::start_noise, in_place("slots"), in_place("numbers"), nb::kw_only(),
           "deviation"_a, "low"_a, "high"_a, "seed"_a,
           "point = image + deviation * normal noise for the lane's number, clamped to [low, high].");
}
