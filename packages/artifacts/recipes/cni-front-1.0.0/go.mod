module rancher.io/recipes/rancher

go 1.26.0
