//go:build go1.24

package main

import "net/http"

const hasPlain = true

func plainServer(server *http.Server) {
	server.Protocols = &http.Protocols{}
	server.Protocols.SetUnencryptedHTTP2(true)
}

func plainClient(transport *http.Transport) {
	transport.Protocols = &http.Protocols{}
	transport.Protocols.SetUnencryptedHTTP2(true)
}
