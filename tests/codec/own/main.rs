//! What holds of the codec without asking anyone else.

#[path = "../common/mod.rs"]
mod common;
mod rejections;
mod shapes;
