# What people type first; everything else is cargo.
.PHONY: dev schema metrics integration-test clean

dev: ## everything on this machine, embedded
	cargo run --release -- dev

schema: ## lay the orders schema on the ScyllaDB of docker compose
	docker compose run --rm schema

metrics: ## what a running host says of itself
	curl -s 127.0.0.1:$${METRICS_PORT:-9090}/metrics

integration-test: ## the binary as its users meet it
	cargo test -p weir --test it

clean: ## build output and the local data folder
	cargo clean
	rm -rf .weir
