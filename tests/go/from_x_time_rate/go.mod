module tidegate.example/from_x_time_rate

go 1.24

require (
	golang.org/x/time v0.12.0
	tidegate.example/tidegate v0.0.0
)

replace tidegate.example/tidegate => ../
