module tidegate.example/tidegate

go 1.24
