// Advances of whole lanes on the CPU; see the headers under include/ for the mathematics.
#pragma once

#include "fluxpath/mfaba.h"
#include "fluxpath/neflag.h"

namespace fluxpath {

// One advance of each of `count` lanes, in the given slots. The result does not depend on the number of
// threads: a lane is always worked on by one.
void advance(const LaneArrays& lanes, const int* slots, i64 count, const Mfaba& method);
void advance(const LaneArrays& lanes, const int* slots, i64 count, const Neflag& method);

// Puts each lane at its random starting point; lane numbers count the flux samples of an image.
void start(const LaneArrays& lanes, const int* slots, const int* numbers, i64 count, const Neflag& method,
           u64 seed);

}  // namespace fluxpath
