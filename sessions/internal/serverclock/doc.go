// Package serverclock estimates the clock of a server that is asked over a network.
package serverclock
