//! The page's program.

fn main() {
    #[cfg(target_arch = "wasm32")]
    ottla_web::components::run();
}
