from sso_gate.demo.servers import bind, port_of


def test_two_demonstrations_that_start_at_once_never_get_the_same_port():
    with bind(0) as first, bind(port_of(first)) as second:
        assert port_of(first) != port_of(second)
