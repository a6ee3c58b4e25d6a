//! What every store promises, as tests that each of them passes.
