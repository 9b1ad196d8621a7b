//! Docker Engines of all generations and clients of all generations.

mod incident;
mod matrix;
mod probe;
