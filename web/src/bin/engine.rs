//! The worker's program.

fn main() {
    #[cfg(target_arch = "wasm32")]
    ottla_web::engine::run();
}
