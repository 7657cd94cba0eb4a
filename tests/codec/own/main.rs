//! What holds of the codec without asking anyone else.

#[path = "../common/mod.rs"]
mod common;
mod frames;
mod rejections;
mod shapes;
