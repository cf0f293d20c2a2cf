def render(x):
    return "x"


class StudyReport:
    def __init__(self, **k):
        pass
