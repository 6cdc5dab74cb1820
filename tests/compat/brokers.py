"""The two brokers as stories need them: started on a port that they keep, stopped, killed with -9, started again."""
import kafka
import moldau


class Kafka:
    label = "Kafka: "

    def __init__(self, settings):
        self.broker = kafka.Kafka(settings)

    @staticmethod
    def missing():
        return kafka.missing()

    def start(self):
        self.broker.start()
        return self

    @property
    def port(self):
        return self.broker.port

    def stop(self):
        self.broker.stop()

    def kill(self):
        self.broker.kill()

    def end(self):
        self.broker.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Moldau(Kafka):
    label = ""

    def __init__(self, settings):
        self.broker = moldau.Broker(settings, start=False)

    @staticmethod
    def missing():
        return None

    def start(self):
        self.broker.start()
        self.broker.listen = f"127.0.0.1:{self.broker.port}"
        return self

    def end(self):
        self.broker.end()


def makers(against):
    """Those of `moldau`, `kafka` or `both`; who is missing is said."""
    found = []
    for make in {"moldau": [Moldau], "kafka": [Kafka], "both": [Moldau, Kafka]}[against]:
        if make.missing():
            print(f"SKIP against Kafka: {make.missing()}")
        else:
            found.append(make)
    return found
