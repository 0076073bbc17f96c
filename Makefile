# Two commands matter: `make demo` shows the program on a sample, `make test` runs every test. Both set up what they need.

EXWIRE = target/release/exwire
SAMPLE = samples/perimeter-unhealthy

.PHONY: demo test setup build bench samples lab clean

# The main job on a sample: classify it, then audit it. The audit finds errors, so its exit status 1 is what is expected.
demo: build
	$(EXWIRE) classify $(SAMPLE).pcap --topology $(SAMPLE).topology.toml --format table
	$(EXWIRE) audit $(SAMPLE).pcap --topology $(SAMPLE).topology.toml --format table; test $$? -eq 1

build: setup
	cargo build --release --locked

test:
	scripts/setup.sh --with-tshark
	cargo test --locked
	cargo build --locked --no-default-features

bench: setup
	cargo bench --locked

# Makes the samples again; they must come out byte for byte as they are.
samples: setup
	cargo run --locked --example generate-samples -- samples

# Builds the captures of the lab again, with real servers in network namespaces: as root, on Debian. See samples/lab/README.md.
lab:
	/usr/bin/python3 samples/lab/run.py
	cargo test --locked --test lab

setup:
	scripts/setup.sh

clean:
	cargo clean
