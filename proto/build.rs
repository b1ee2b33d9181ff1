//! Generates the records that members send to each other and keep on disk, if the feature `peer` asks for them.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "peer")]
    tonic_prost_build::configure()
        // Payloads are slices of what was received, not copies of it.
        .bytes(".")
        // The same record is the same bytes, wherever it is written.
        .btree_map(".")
        .build_transport(false)
        .compile_protos(&["image.proto", "log.proto", "peer.proto"], &["."])?;
    Ok(())
}
