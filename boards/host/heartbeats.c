#include "heartbeats.h"

enum { SHORT = 8, CHANGES = 16, USUAL = 4, SMALLEST = 16, SCALE = 64, MIDDLE = 128, LARGEST = 255 };

static const uint8_t parts[HEARTBEATS_PARTS + 1] = {2, 10, 17, 21, 24, 28, 34, 44, 56};

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t distance(int32_t a, int32_t b) { return (uint32_t)(a < b ? b - a : a - b); }

static uint8_t percent(uint32_t part, uint32_t whole) { return (uint8_t)least(100 * part / whole, LARGEST); }

/* The interval before the beat that came `back` beats before the last one. */
static uint16_t interval(const struct heartbeats *state, uint32_t back)
{
    return state->intervals[(state->beats - 1 - back) % HEARTBEATS_LONG];
}

static uint32_t mean_of_last(const struct heartbeats *state, uint32_t count)
{
    uint32_t sum = 0;
    count = least(count, state->beats);
    for (uint32_t back = 0; back < count; back++)
        sum += interval(state, back);
    return sum / count;
}

/* Mean change between the intervals before the last one. The first interval counts as a change of 0. */
static uint32_t mean_change(const struct heartbeats *state)
{
    uint32_t sum = 0, count = least(CHANGES, state->beats - 1);
    for (uint32_t back = 1; back <= count; back++)
        if (back + 1 < state->beats)
            sum += distance(interval(state, back), interval(state, back + 1));
    return count ? sum / count : 0;
}

/* About 16 times the logarithm to base 2, linear between powers of 2. */
static uint8_t logarithm(uint32_t value)
{
    uint32_t power = 0;
    if (value == 0)
        return 0;
    while (value >> power > 1)
        power++;
    return (uint8_t)least(16 * power + (uint32_t)(((uint64_t)value << 4) >> power) - 16, LARGEST);
}

void heartbeats_next(struct heartbeats *state, const int16_t window[HEARTBEATS_WINDOW], uint16_t before,
                     uint16_t behind, uint8_t features[HEARTBEATS_FEATURES])
{
    int32_t beat[HEARTBEATS_VALUES], sum = 0, height = 0;

    for (int at = 0; at < HEARTBEATS_VALUES; at++) {
        beat[at] = 0;
        for (int step = 0; step < HEARTBEATS_STEP; step++)
            beat[at] += window[at * HEARTBEATS_STEP + step];
        sum += beat[at];
    }
    for (int at = 0; at < HEARTBEATS_VALUES; at++) {
        beat[at] -= sum >> 6; /* HEARTBEATS_VALUES is 64 */
        height = (int32_t)(distance(beat[at], 0) > (uint32_t)height ? distance(beat[at], 0) : (uint32_t)height);
    }
    if (state->beats == 0) {
        for (int at = 0; at < HEARTBEATS_VALUES; at++)
            state->usual[at] = beat[at] * (1 << USUAL);
        state->height = height << USUAL;
    }

    state->intervals[state->beats % HEARTBEATS_LONG] = before;
    state->beats++;
    uint32_t usual = mean_of_last(state, HEARTBEATS_LONG);
    features[0] = percent(before, usual);
    features[1] = percent(behind, usual);
    features[2] = percent(before, mean_of_last(state, SHORT));
    features[3] = percent(before, behind);
    features[4] = percent(state->beats > 1 ? interval(state, 1) : before, usual);
    features[5] = percent(mean_change(state), usual);

    int32_t unit = state->height >> USUAL > SMALLEST ? state->height >> USUAL : SMALLEST;
    for (int part = 0; part < HEARTBEATS_PARTS; part++) {
        uint32_t apart = 0;
        for (int at = parts[part]; at < parts[part + 1]; at++)
            apart += distance(beat[at], state->usual[at] >> USUAL);
        features[6 + part] = logarithm(apart * SCALE / (uint32_t)unit);
    }
    for (int at = 0; at < HEARTBEATS_VALUES; at++) {
        int32_t value = beat[at] * SCALE + MIDDLE * unit;
        features[HEARTBEATS_CONTEXT + at] = (uint8_t)(value < 0 ? 0 : least((uint32_t)(value / unit), LARGEST));
        state->usual[at] += beat[at] - (state->usual[at] >> USUAL);
    }
    state->height += height - (state->height >> USUAL);
}
