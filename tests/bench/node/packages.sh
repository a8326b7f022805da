# node_packages: tidegate's packages in target/npm, as npm would publish them. Source it after lib.sh.
node_packages() {
    say "the npm packages (target/npm)"
    logged node-ci.log npm ci --prefix bindings-node
    logged node-build.log npm run build --prefix bindings-node
    logged node-pack.log npm run pack:all --prefix bindings-node
}
