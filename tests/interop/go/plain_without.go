//go:build !go1.24

package main

import "net/http"

// HTTP/2 without TLS came with Go 1.24.
const hasPlain = false

func plainServer(*http.Server) {}

func plainClient(*http.Transport) {}
