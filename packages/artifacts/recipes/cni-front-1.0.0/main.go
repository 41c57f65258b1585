// Command rancher is the CNI plugin that a container runtime executes: it hands the call to the host's resident daemon
// (apps/cni) and gives the runtime the answer. It is all that starts for a pod, so it imports no more than it needs.
//
// One call, one connection to the daemon's unix socket: the CNI_* variables, each ended by a zero byte, one more zero
// byte, the network configuration as it came on standard input, end of file. Back come the exit code in decimal, a
// newline, and what belongs on standard output (CNI specification 1.1, section 2).
package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	defaultSocket = "/run/rancher-cni/cni.sock"
	// The daemon is replaced within a second when it fails: a call waits for the next one before it gives up.
	patience   = 5 * time.Second
	retryEvery = 20 * time.Millisecond
	// Seconds that the daemon may take for a call. A frozen one is replaced sooner, which ends the connection.
	answerTimeout = 60

	// Error codes of the specification: "try again later", and for STATUS "the plugin is not available".
	codeTryAgain     = 11
	codeNotAvailable = 50

	versions = `{"cniVersion":"1.1.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}`
)

func main() {
	command := os.Getenv("CNI_COMMAND")
	if command == "VERSION" {
		os.Stdout.WriteString(versions + "\n")
		return
	}
	request := callOf(os.Environ(), readAll(0))
	deadline := time.Now().Add(patience)
	for {
		sent, answer, err := ask(request)
		if code, output, ok := parse(answer); ok {
			os.Stdout.Write(output)
			os.Exit(code)
		}
		// What may have begun is not begun again: the runtime cleans up by DEL, and tries anew.
		repeatable := !sent || command == "STATUS"
		if !repeatable || time.Now().After(deadline) {
			fail(command, err)
		}
		time.Sleep(retryEvery)
	}
}

func callOf(environment []string, configuration []byte) []byte {
	var call bytes.Buffer
	for _, variable := range environment {
		if strings.HasPrefix(variable, "CNI_") {
			call.WriteString(variable)
			call.WriteByte(0)
		}
	}
	call.WriteByte(0)
	call.Write(configuration)
	return call.Bytes()
}

// ask tells whether the daemon may have seen the call, and what it answered.
func ask(request []byte) (sent bool, answer []byte, err error) {
	path := os.Getenv("RANCHER_CNI_SOCKET")
	if path == "" {
		path = defaultSocket
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, nil, err
	}
	defer syscall.Close(fd)
	timeout := syscall.Timeval{Sec: answerTimeout}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		return false, nil, err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		return false, nil, err
	}
	for rest := request; len(rest) > 0; {
		n, err := syscall.Write(fd, rest)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return true, nil, err
		}
		rest = rest[n:]
	}
	if err := syscall.Shutdown(fd, syscall.SHUT_WR); err != nil {
		return true, nil, err
	}
	return true, readAll(fd), nil
}

func readAll(fd int) []byte {
	var all []byte
	buffer := make([]byte, 16<<10)
	for {
		n, err := syscall.Read(fd, buffer)
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return all
		}
		all = append(all, buffer[:n]...)
	}
}

func parse(answer []byte) (code int, output []byte, ok bool) {
	line, output, found := bytes.Cut(answer, []byte("\n"))
	code, err := strconv.Atoi(string(line))
	return code, output, found && err == nil
}

func fail(command string, err error) {
	code := codeTryAgain
	if command == "STATUS" {
		code = codeNotAvailable
	}
	details := "it ended the connection without an answer"
	if err != nil {
		details = err.Error()
	}
	os.Stdout.WriteString(`{"cniVersion":"1.1.0","code":` + strconv.Itoa(code) +
		`,"msg":"the host's network daemon does not answer","details":` + strconv.Quote(details) + "}\n")
	os.Exit(1)
}
