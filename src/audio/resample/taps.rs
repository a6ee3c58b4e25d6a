//! The filters' coefficients, in Q15. `design.rs` derives them and a test holds them to it.
//!
//! Both impulse responses are symmetric, so only half of each is written down.

/// How many input samples an output sample on the way up depends on.
pub(super) const UP_TAPS: usize = 20;

/// Half of [`UP_TAPS`].
pub(super) const UP_HALF: usize = UP_TAPS / 2;

/// How many input samples an output sample on the way down depends on.
pub(super) const DOWN_TAPS: usize = 72;

/// The even and the odd half of the first three of the six phases of the way up. The j-th oldest sample of the window
/// weighs `even[j] + odd[j]`, the j-th newest `even[j] - odd[j]`. Phase `5 - p` is phase `p` read backwards: the same
/// even half, the odd half negated.
pub(super) const UP: [[[i16; UP_HALF]; 2]; 3] = [
    [[185, 22, -8, 58, -149, 293, -519, 911, -1826, 17639], [154, -318, 387, -514, 650, -777, 872, -890, 612, 13540]],
    [
        [198, 74, -140, 297, -548, 928, -1517, 2524, -4772, 19562],
        [95, -215, 264, -348, 433, -505, 538, -468, -21, 8979],
    ],
    [
        [188, 105, -218, 437, -779, 1294, -2088, 3436, -6364, 20595],
        [42, -76, 94, -123, 152, -175, 181, -143, -77, 3146],
    ],
];

/// The first half of the way down's taps; the second half is its mirror image.
pub(super) const DOWN_HALF: [i16; DOWN_TAPS / 2] = [
    10, 27, 42, 35, -3, -51, -69, -27, 52, 97, 48, -75, -164, -113, 69, 227, 186, -70, -328, -315, 32, 436, 483, 24,
    -595, -760, -157, 807, 1209, 409, -1203, -2211, -1121, 2384, 6913, 10085,
];
