//! Docker Engines of all generations and clients of all generations.

mod cases;
mod incident;
mod loading;
mod matrix;
mod probe;
mod separate;
