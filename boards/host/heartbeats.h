/* Heartbeats of an electrocardiogram as bytes, beat by beat: what qblif/heartbeats.py computes for a whole recording.
   C99, integers only, no allocation. A state takes 520 bytes. >> of a negative number must keep its sign, as it does
   in GCC and Clang. */
#ifndef QBLIF_HEARTBEATS_H
#define QBLIF_HEARTBEATS_H

#include <stdint.h>

enum {
    HEARTBEATS_BEFORE = 96,   /* samples of a window before the R peak */
    HEARTBEATS_AFTER = 160,   /* from the peak on */
    HEARTBEATS_STEP = 4,
    HEARTBEATS_WINDOW = HEARTBEATS_BEFORE + HEARTBEATS_AFTER,
    HEARTBEATS_VALUES = HEARTBEATS_WINDOW / HEARTBEATS_STEP,
    HEARTBEATS_PARTS = 8,
    HEARTBEATS_CONTEXT = 6 + HEARTBEATS_PARTS,
    HEARTBEATS_FEATURES = HEARTBEATS_CONTEXT + HEARTBEATS_VALUES,
    HEARTBEATS_LONG = 128
};

/* One patient's past; all zeros at the beginning. */
struct heartbeats {
    uint32_t beats;                       /* so far */
    uint16_t intervals[HEARTBEATS_LONG];  /* before the last beats, a ring */
    int32_t usual[HEARTBEATS_VALUES];     /* the usual beat, times 16 */
    int32_t height;                       /* its height, times 16 */
};

/* The features of the next beat.
   window: samples at 360 Hz around its R peak, which is window[HEARTBEATS_BEFORE].
   before, behind: samples from the previous R peak to this one, and from this one to the next, 1 to 65535. The first
   beat of a patient has no interval before it: give the one behind it twice. */
void heartbeats_next(struct heartbeats *state, const int16_t window[HEARTBEATS_WINDOW], uint16_t before,
                     uint16_t behind, uint8_t features[HEARTBEATS_FEATURES]);

#endif
