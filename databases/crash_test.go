package databases_test

func runChild() bool { return false }
