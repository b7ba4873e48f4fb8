// Advances of whole lanes on the CPU; see the headers under include/ for the mathematics.
#pragma once

#include "fluxpath/mfaba.h"
#include "fluxpath/neflag.h"
#include "fluxpath/weighted.h"

namespace fluxpath {

// Advances each of the `count` lanes in the given slots once. The result does not depend on the number of
// threads, because each lane is computed by one thread.
void advance(const LaneArrays& lanes, const int* slots, i64 count, const Mfaba& method);
void advance(const LaneArrays& lanes, const int* slots, i64 count, const Neflag& method);

// Sets the reach of each lane, which is at its image; this completes the lanes.
void advance(const LaneArrays& lanes, const int* slots, i64 count, const Reach& method);

// Puts each lane at its random starting point; `numbers` are the numbers of the flux samples in their image.
void start(const LaneArrays& lanes, const int* slots, const int* numbers, i64 count, const Neflag& method,
           u64 seed);

// Writes each lane's weighted gradient to its sum; `weights` has one entry per lane.
void advance(const LaneArrays& lanes, const int* slots, const float* weights, i64 count,
             const Weighted& method);

// Puts each lane on the straight line from its reference (in `pending`) to its image.
void start_straight(const LaneArrays& lanes, const int* slots, const float* shares, i64 count);

// Puts each lane at its image plus normal noise, within [low, high].
void start_noise(const LaneArrays& lanes, const int* slots, const int* numbers, i64 count, float deviation,
                 float low, float high, u64 seed);

// Writes four random words for each of lanes 0 .. count-1, from a stream separate from the elements' noise.
void lane_words(u64 seed, i64 count, u32* words);

}  // namespace fluxpath
