"""SIGKILL at the n-th call of any port, for tests that try every n."""

PORTS = ("store", "registry", "journal", "queues", "clearing", "archive")


class Killed(BaseException):
    """What SIGKILL looks like from inside: nothing of this process is ever heard of again."""


class Fuse:
    """Kills its process at the n-th call of any port, before or after the call has done its work."""

    def __init__(self, calls=None, *, after=False):
        self.left, self.after, self.dead, self.count = calls, after, False, 0

    def wrap(self, port):
        fuse = self

        class Wrapped:
            def __getattr__(self, name):
                found = getattr(port, name)
                if name == "renew":  # of a thread that beats by the machine's clock: counting it would count time
                    return lambda lead: None if fuse.dead else found(lead)
                return fuse.guarded(found) if callable(found) else found

        return Wrapped()

    def guarded(self, method):
        def call(*args, **kwargs):
            self.count += 1
            now = self.left is not None and self.count >= self.left
            if self.dead or (now and not self.after):
                self.dead = True
                raise Killed
            result = method(*args, **kwargs)
            if now:
                self.dead = True
                raise Killed
            return result

        return call
